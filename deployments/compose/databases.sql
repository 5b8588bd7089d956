-- The database `paramedic` and its owner are made by the image. A store of its own for Prefect, and the role of the running processes,
-- which may not change the trail: `migrate` grants it what it needs. Set its password with \password.
CREATE DATABASE prefect;
CREATE ROLE paramedic_runtime LOGIN;
