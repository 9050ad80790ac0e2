-- The queue's order is that of the ends of turns, and virtual_time what each member got of what was drawn (bot.domain.fairness).

DROP INDEX jobs_by_turn;
DROP INDEX jobs_waiting_in;
CREATE INDEX jobs_by_turn ON jobs (status, finish_tag, seq);  -- the next claim, what is ahead, the counts
CREATE INDEX jobs_waiting_in ON jobs (guild_id, finish_tag, seq) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_running ON jobs (user_id) WHERE status = 'running';  -- who has a place
