-- A job that was being drawn when the process died may be what killed it. Until it ends it is drawn alone.

ALTER TABLE jobs ADD COLUMN suspect INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1));
CREATE INDEX jobs_suspect ON jobs (status, seq) WHERE suspect = 1;  -- is there one
