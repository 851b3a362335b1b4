-- It ended here, and nobody has said what follows.
ALTER TABLE jobs ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_untold ON jobs (id) WHERE untold = 1;

-- What one tenant has waiting, beside what `jobs_ready` has.
CREATE INDEX jobs_scheduled_of ON jobs (tenant) WHERE state = 0;
