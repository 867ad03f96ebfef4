-- A subscription that was deleted and made again counted from 1 anew, and could give no number: it goes on behind the last one given.
UPDATE subscriptions SET notices = (
    SELECT MAX(n.number) FROM notices n WHERE n.tenant = subscriptions.tenant AND n.subscription = subscriptions.id)
WHERE EXISTS (
    SELECT 1 FROM notices n
    WHERE n.tenant = subscriptions.tenant AND n.subscription = subscriptions.id AND n.number > subscriptions.notices);
