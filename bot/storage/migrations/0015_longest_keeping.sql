-- The host's own longest times hold in every server and in direct messages: what is oldest, wherever it was asked for.
CREATE INDEX jobs_old_with_pictures ON jobs (finished_at) WHERE pictures_removed_at IS NULL;
CREATE INDEX jobs_old_with_words ON jobs (finished_at) WHERE words_removed_at IS NULL;
