"""What the Python suites share: processes, configuration, a raw HTTP client, a scripted provider."""
