-- What a member may ask for again and again is found by an index, and goes on where a page of it ended.

CREATE INDEX jobs_by_member ON jobs (user_id, seq);
CREATE INDEX jobs_of_member_with_words ON jobs (user_id, seq) WHERE words_removed_at IS NULL;
CREATE INDEX ledger_by_member ON ledger (user_id, id);
CREATE INDEX blocks_by_member ON blocks (user_id, id);
CREATE INDEX erasures_by_member ON erasures (user_id, id);
