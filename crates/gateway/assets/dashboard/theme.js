// Sets the theme before anything is drawn, so that nothing flashes. Without a choice the system's is followed.
const chosen = (() => {
  try {
    return localStorage.getItem('tidegate-theme');
  } catch {
    return null;
  }
})();
if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
