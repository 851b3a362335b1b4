-- Ends that the store itself brings about, so that somebody tells of them; and what one tenant has waiting, counted.
--
-- `untold`: it ended here, and nobody has said what follows. A release that does not know of it leaves it false: what
-- follows such an end is then not told, as it never was.
ALTER TABLE tidegate_jobs ADD COLUMN untold boolean NOT NULL DEFAULT false;

CREATE INDEX tidegate_jobs_untold ON tidegate_jobs (id) WHERE untold;
CREATE INDEX tidegate_jobs_scheduled_of ON tidegate_jobs (tenant) WHERE state = 0;

-- As `tidegate_deal_1`, but what is past its deadline is marked.
--
-- Deals one round in one band, the first of those asked for where something is ready: equal shares of `most` jobs to
-- each tenant, beginning after the one that `afters` says for the band.
--
-- - `later`, `earlier`: tenants with something ready, those after the one served last and those up to it. A loose
--   index scan: each row is one search for the next greater name (PostgreSQL wiki, "Loose indexscan"). Orders by all
--   of the index's columns leave the planner no other way to think of; EXISTS or min would.
-- - `picked`: locked, and no more than each one's share. MATERIALIZED, as a plan that ran it twice would lock more
--   than it gives.
--
-- The first row is there whenever there was a band, so that one where others are at everything is told from none.
CREATE FUNCTION tidegate_deal_2 (
    of_queue text, bands smallint[], afters text[], most bigint, claimant text, until bigint, moment bigint
) RETURNS TABLE (
    dealt_band smallint, picked_count bigint, bonus text, id bigint, token bigint, tenant text, kind text,
    attempt integer, attempts_max integer, created bigint, deadline bigint, run_at bigint, payload bytea, place bigint
)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH RECURSIVE chosen AS MATERIALIZED (
        SELECT b.band, b.after COLLATE "C" AS after
        FROM unnest(bands, afters) WITH ORDINALITY AS b (band, after, place)
        WHERE (
            SELECT j.id FROM tidegate_jobs j WHERE j.queue = of_queue AND j.state = 1 AND j.band = b.band
            ORDER BY j.tenant, j.run_at, j.id LIMIT 1
        ) IS NOT NULL
        ORDER BY b.place LIMIT 1
    ), later (band, tenant) AS (
        SELECT chosen.band, (
            SELECT j.tenant FROM tidegate_jobs j
            WHERE j.queue = of_queue AND j.state = 1 AND j.band = chosen.band AND j.tenant > chosen.after
            ORDER BY j.tenant, j.run_at, j.id LIMIT 1
        ) FROM chosen
        UNION ALL
        SELECT later.band, (
            SELECT j.tenant FROM tidegate_jobs j
            WHERE j.queue = of_queue AND j.state = 1 AND j.band = later.band AND j.tenant > later.tenant
            ORDER BY j.tenant, j.run_at, j.id LIMIT 1
        ) FROM later WHERE later.tenant IS NOT NULL
    ), earlier (band, after, tenant) AS (
        SELECT chosen.band, chosen.after, (
            SELECT j.tenant FROM tidegate_jobs j
            WHERE j.queue = of_queue AND j.state = 1 AND j.band = chosen.band AND j.tenant <= chosen.after
            ORDER BY j.tenant, j.run_at, j.id LIMIT 1
        ) FROM chosen
        UNION ALL
        SELECT earlier.band, earlier.after, (
            SELECT j.tenant FROM tidegate_jobs j
            WHERE j.queue = of_queue AND j.state = 1 AND j.band = earlier.band
                AND j.tenant > earlier.tenant AND j.tenant <= earlier.after
            ORDER BY j.tenant, j.run_at, j.id LIMIT 1
        ) FROM earlier WHERE earlier.tenant IS NOT NULL
    ), turns AS MATERIALIZED (
        SELECT tenant, row_number() OVER () AS place, count(*) OVER () AS tenants FROM (
            SELECT tenant FROM later WHERE tenant IS NOT NULL
            UNION ALL
            SELECT tenant FROM earlier WHERE tenant IS NOT NULL
            LIMIT most
        ) AS all_of_them
    ), picked AS MATERIALIZED (
        SELECT j.id, j.deadline <= moment AS is_late, turns.place
        FROM chosen CROSS JOIN turns CROSS JOIN LATERAL (
            SELECT id, deadline FROM tidegate_jobs
            WHERE queue = of_queue AND state = 1 AND band = chosen.band AND tenant = turns.tenant
            ORDER BY run_at, id LIMIT most / turns.tenants + (turns.place <= most % turns.tenants)::int
            FOR UPDATE SKIP LOCKED
        ) AS j
    ), late AS (
        UPDATE tidegate_jobs j SET state = 4, ended = moment, untold = true
        FROM picked WHERE j.id = picked.id AND picked.is_late
        RETURNING j.id, j.attempt
    ), noted AS (
        INSERT INTO tidegate_job_faults (job, attempt, at, class, message)
        SELECT id, attempt, moment, 'deadline', 'its deadline passed before it was begun' FROM late
    ), given AS (
        UPDATE tidegate_jobs j
        SET state = 2, token = j.token + 1, attempt = j.attempt + 1, owner = claimant, lease_until = until,
            started = moment
        FROM picked WHERE j.id = picked.id AND picked.is_late IS NOT TRUE
        RETURNING j.id, j.token, j.tenant, j.kind, j.attempt, j.attempts_max, j.created, j.deadline, j.run_at,
                  j.payload, picked.place
    )
    SELECT chosen.band, (SELECT count(*) FROM picked),
           (SELECT turns.tenant FROM turns WHERE turns.place = 1 + (most - 1) % turns.tenants), given.*
    FROM chosen LEFT JOIN given ON true
    ORDER BY given.place, given.run_at, given.id;
END $$;

-- As `tidegate_finish_1`, but what ends as cancelled against its holder's word is marked.
--
-- Ends attempts and records the lines that they were, of those alone whose lease is held; tells which were.
-- `how` is 0 done, 1 again, 2 dead, 3 cancelled, 4 released; 1 and 4 end as cancelled where that was asked for.
CREATE FUNCTION tidegate_finish_2 (
    ids bigint[], tokens bigint[], moments bigint[], hows smallint[], run_ats bigint[], results bytea[],
    classes text[], messages text[], batches text[], lines bigint[], goods boolean[], texts bytea[]
) RETURNS TABLE (id bigint, token bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH given AS MATERIALIZED (
        SELECT * FROM unnest(
            ids, tokens, moments, hows, run_ats, results, classes, messages, batches, lines, goods, texts
        ) AS g (id, token, at, how, run_at, result, class, message, batch, line, good, text)
    ), gone AS (
        DELETE FROM tidegate_jobs j USING given g
        WHERE j.id = g.id AND j.token = g.token AND j.state + 0 = 2 AND g.how = 0 AND NOT j.keep
        RETURNING g.*, j.attempt
    ), forgotten AS (
        -- Whoever failed before has been tried more than once.
        DELETE FROM tidegate_job_faults f USING gone WHERE f.job = gone.id AND gone.attempt > 1
    ), changed AS (
        UPDATE tidegate_jobs j SET
            state = CASE
                WHEN g.how = 0 THEN 3
                WHEN g.how = 2 THEN 4
                WHEN g.how = 3 OR j.cancel_requested THEN 5
                WHEN g.how IN (1, 5) AND g.run_at > g.at THEN 0
                ELSE 1
            END,
            ended = CASE WHEN g.how IN (0, 2, 3) OR j.cancel_requested THEN g.at END,
            run_at = CASE WHEN g.how IN (1, 5) AND NOT j.cancel_requested THEN g.run_at ELSE j.run_at END,
            attempt = CASE WHEN g.how IN (4, 5) AND NOT j.cancel_requested THEN j.attempt - 1 ELSE j.attempt END,
            untold = j.cancel_requested AND g.how NOT IN (0, 2, 3),
            owner = NULL, lease_until = NULL, result = g.result
        FROM given g
        WHERE j.id = g.id AND j.token = g.token AND j.state + 0 = 2 AND (g.how <> 0 OR j.keep)
        RETURNING g.*, j.attempt
    ), noted AS (
        INSERT INTO tidegate_job_faults (job, attempt, at, class, message)
        SELECT id, attempt, at, class, message FROM changed WHERE class IS NOT NULL
    ), recorded AS (
        INSERT INTO tidegate_batch_lines (batch, line, good, text)
        SELECT held.batch, held.line, held.good, held.text
        FROM (SELECT * FROM gone UNION ALL SELECT * FROM changed) AS held
        JOIN tidegate_batches b ON b.id = held.batch
        ON CONFLICT DO NOTHING
    )
    SELECT gone.id, gone.token FROM gone UNION ALL SELECT changed.id, changed.token FROM changed;
END $$;
