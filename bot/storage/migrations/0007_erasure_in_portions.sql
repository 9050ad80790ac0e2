-- What a member may ask for again and again is found by an index, and goes on where a page of it ended.

CREATE INDEX jobs_by_member ON jobs (user_id, seq);
CREATE INDEX jobs_of_member_with_words ON jobs (user_id, seq) WHERE words_removed_at IS NULL;
CREATE INDEX ledger_by_member ON ledger (user_id, id);
CREATE INDEX blocks_by_member ON blocks (user_id, id);
CREATE INDEX erasures_by_member ON erasures (user_id, id);

-- Cards of erased jobs whose places are still known.
CREATE INDEX jobs_with_cards_to_remove ON jobs (user_id, seq) WHERE words_removed_at IS NOT NULL AND channel_id <> 0;

-- up_to: the last job that the wish takes in. leaves_traces: words were removed whose bytes may still lie between the rows of
-- the file, until that was written anew (bot.storage.traces).
ALTER TABLE erasures ADD COLUMN up_to INTEGER NOT NULL DEFAULT 0;
ALTER TABLE erasures ADD COLUMN leaves_traces INTEGER NOT NULL DEFAULT 0 CHECK (leaves_traces IN (0, 1));

CREATE INDEX erasures_with_traces ON erasures (erased_at) WHERE leaves_traces = 1;

-- A wish that an update cuts off is fulfilled, and the file written anew, as if the wish had come now.
UPDATE erasures SET up_to = (SELECT IFNULL(MAX(seq), 0) FROM jobs WHERE jobs.user_id = erasures.user_id), leaves_traces = 1
WHERE erased_at IS NULL;
