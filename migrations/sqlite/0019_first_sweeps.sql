-- The first sweep of each tenant that is due, found by as many steps as there are tenants, however many sweeps wait of one of them.
CREATE INDEX dues_first ON dues (tenant, due, priority, rule, output) WHERE person = 0;
