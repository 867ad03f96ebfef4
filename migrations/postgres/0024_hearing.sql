-- What a subscription hears while it is not active, and what its notices are signed with.
ALTER TABLE subscriptions ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;        -- 1 once it was active, until it is off: it hears, also while it is asked for anew or in error
ALTER TABLE subscriptions ADD COLUMN shown BIGINT NOT NULL DEFAULT 0;        -- how often its secret was shown; each time but the first it is made anew
ALTER TABLE subscriptions ADD COLUMN secret_before TEXT NOT NULL DEFAULT ''; -- the secret before this one
ALTER TABLE subscriptions ADD COLUMN both_until BIGINT NOT NULL DEFAULT 0;   -- until when notices are signed with that, too, UTC milliseconds
UPDATE subscriptions SET begun = 1 WHERE status = 'active' OR (status <> 'off' AND notices > 0);
