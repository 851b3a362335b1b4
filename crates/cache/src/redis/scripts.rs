//! What Redis does in one step, and under which names.
//!
//! The keys of invalidation share a hash slot, so that a script may touch them all in a cluster. Scripts use
//! nothing newer than Redis 5.

use super::options::Options;
use crate::key::Key;
use redis::Cmd;

/// Most tags that Redis remembers as invalidated; beyond, the older half is folded into the floor.
pub(super) const TAGS_MAX: usize = crate::epochs::TAGS_REMEMBERED_MAX;

/// Numbers an invalidation, remembers it and tells everybody.
///
/// `KEYS` last, tags, floor. `ARGV` the least number, the channel, who asks, most tags remembered, then the
/// tags. Gives the number.
const INVALIDATE: &str = r"
if redis.replicate_commands then redis.replicate_commands() end
local time = redis.call('TIME')
local number = math.max(
  tonumber(redis.call('GET', KEYS[1]) or '0') + 1,
  tonumber(time[1]) * 1000000 + tonumber(time[2]),
  tonumber(ARGV[1]))
local text = string.format('%.0f', number)
redis.call('SET', KEYS[1], text)
for at = 5, #ARGV do redis.call('ZADD', KEYS[2], text, ARGV[at]) end
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[4])
if over > 0 then
  local cut = over + math.floor(tonumber(ARGV[4]) / 2) - 1
  local edge = tonumber(redis.call('ZRANGE', KEYS[2], cut, cut, 'WITHSCORES')[2])
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, cut)
  local floor = math.max(edge, tonumber(redis.call('GET', KEYS[3]) or '0'))
  redis.call('SET', KEYS[3], string.format('%.0f', floor))
end
redis.call('PUBLISH', ARGV[2], text .. ' ' .. ARGV[3] .. ' ' .. table.concat(ARGV, ' ', 5))
return text
";

/// Says which number is the last, and raises it to what a replica has given already.
///
/// `KEYS` last, tags, floor. `ARGV` the number to raise to, the last that the replica knows. Gives the last
/// and the floor. Where Redis knows less than the replica nothing is raised: it has lost its memory. Where
/// it takes no writes, reading is enough.
const BEAT: &str = r"
if redis.replicate_commands then redis.replicate_commands() end
local last = tonumber(redis.call('GET', KEYS[1]) or '0')
if last >= tonumber(ARGV[2]) then
  local wanted = tonumber(ARGV[1])
  if last == 0 then
    local time = redis.call('TIME')
    wanted = math.max(wanted, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  end
  if wanted > last then
    local done = redis.pcall('SET', KEYS[1], string.format('%.0f', wanted))
    if not done['err'] then last = wanted end
  end
end
return {string.format('%.0f', last), redis.call('GET', KEYS[3]) or '0'}
";

/// Gives Redis back what it has lost.
///
/// `KEYS` last, tags, floor. `ARGV` the last number, the floor, then tags, each after its number.
const RESTORE: &str = r"
local function raise(key, number)
  if tonumber(redis.call('GET', key) or '0') < tonumber(number) then redis.call('SET', key, number) end
end
raise(KEYS[1], ARGV[1])
raise(KEYS[3], ARGV[2])
for at = 3, #ARGV, 2 do
  local known = redis.call('ZSCORE', KEYS[2], ARGV[at + 1])
  if not known or tonumber(known) < tonumber(ARGV[at]) then
    redis.call('ZADD', KEYS[2], ARGV[at], ARGV[at + 1])
  end
end
return 1
";

/// Takes a lock, or finds that it is held already by the very asker.
///
/// `KEYS` the lock. `ARGV` the asker's token, milliseconds that it is held for. Gives 1 or 0.
const CLAIM: &str = r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return 1 end
return 0
";

/// Holds a lock for longer. `KEYS` the lock. `ARGV` the token, milliseconds. Gives 1, or 0 where it is lost.
const RENEW: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
";

/// Gives a lock up and tells those who wait. `KEYS` the lock. `ARGV` the token, the channel, what to tell.
const RELEASE: &str = r"
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
";

/// A script that Redis may know already.
#[derive(Clone, Debug)]
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    /// A script in Lua; for a cluster, one whose keys share a hash slot.
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// The command that runs it where Redis knows it.
    pub(super) fn by_hash(&self, args: impl Fn(&mut Cmd)) -> Cmd {
        let mut cmd = redis::cmd("EVALSHA");
        args(cmd.arg(&self.hash));
        cmd
    }

    /// The command that runs it and makes it known.
    pub(super) fn by_text(&self, args: impl Fn(&mut Cmd)) -> Cmd {
        let mut cmd = redis::cmd("EVAL");
        args(cmd.arg(self.text));
        cmd
    }
}

/// All scripts.
pub(super) struct Scripts {
    pub(super) invalidate: Script,
    pub(super) beat: Script,
    pub(super) restore: Script,
    pub(super) claim: Script,
    pub(super) renew: Script,
    pub(super) release: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            invalidate: Script::new(INVALIDATE),
            beat: Script::new(BEAT),
            restore: Script::new(RESTORE),
            claim: Script::new(CLAIM),
            renew: Script::new(RENEW),
            release: Script::new(RELEASE),
        }
    }
}

/// The names of keys and channels.
pub(super) struct Names {
    namespace: String,
    /// The last number, the tags, the floor.
    pub(super) epochs: [String; 3],
    /// Where invalidations are told.
    pub(super) invalidations: String,
    /// Where outcomes of claims are told.
    pub(super) outcomes: String,
}

impl Names {
    pub(super) fn new(options: &Options) -> Self {
        let namespace = options.namespace.clone();
        Self {
            epochs: ["last", "tags", "floor"].map(|part| format!("{{{namespace}:epochs}}:{part}")),
            invalidations: format!("{namespace}:invalidations"),
            outcomes: format!("{namespace}:outcomes"),
            namespace,
        }
    }

    /// Adds the keys of invalidation to a script's arguments.
    pub(super) fn epoch_keys<'a>(&self, cmd: &'a mut Cmd) -> &'a mut Cmd {
        cmd.arg(self.epochs.len()).arg(&self.epochs)
    }

    pub(super) fn entry(&self, key: &Key) -> String {
        format!("{}:entry:{key}", self.namespace)
    }

    pub(super) fn lock(&self, key: &Key) -> String {
        format!("{}:lock:{key}", self.namespace)
    }

    /// A key under which nothing is: a different one each time, so that in a cluster no single node decides.
    pub(super) fn nothing(&self) -> String {
        format!("{}:nothing:{:x}", self.namespace, fastrand::u32(..))
    }
}
