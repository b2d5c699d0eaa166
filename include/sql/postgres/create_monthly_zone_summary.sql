-- Creates the table that the monthly reports are made from.
-- Grain: one row per source, source month, day of pickup, pickup zone and payment type.
-- Parameters: none.
-- Twice: safe, an existing table stays as it is; the caller has looked at its columns, and holds the lock on definitions.
CREATE TABLE IF NOT EXISTS public.monthly_zone_summary (
    source text NOT NULL,
    source_month date NOT NULL,
    pickup_date date,
    pickup_zone integer,
    zone text,
    borough text,
    payment_type integer,
    trips bigint NOT NULL,
    revenue numeric,
    distance numeric,
    tips numeric,
    sha256 text,
    UNIQUE NULLS NOT DISTINCT (source, source_month, pickup_date, pickup_zone, payment_type)
);

COMMENT ON TABLE public.monthly_zone_summary IS
'What the monthly reports are made from: trips and sums by day, pickup zone and payment type';
COMMENT ON COLUMN public.monthly_zone_summary.source IS 'Name of the source, for example green';
COMMENT ON COLUMN public.monthly_zone_summary.source_month IS 'First day of the month of the file';
COMMENT ON COLUMN public.monthly_zone_summary.pickup_date IS
'Day on which the trips began, by their meters; a few lie outside the month';
COMMENT ON COLUMN public.monthly_zone_summary.pickup_zone IS 'Number of the taxi zone; NULL if the source has none';
COMMENT ON COLUMN public.monthly_zone_summary.zone IS
'Name of the zone, if taxi_zone_lookup was loaded when the summary was written';
COMMENT ON COLUMN public.monthly_zone_summary.borough IS 'Borough of the zone, likewise';
COMMENT ON COLUMN public.monthly_zone_summary.payment_type IS 'As the source has it; NULL if it has none';
COMMENT ON COLUMN public.monthly_zone_summary.trips IS 'Rows of the month';
COMMENT ON COLUMN public.monthly_zone_summary.revenue IS
'Sum of the column that the source''s YAML file calls revenue, US dollars; NULL if it calls none so';
COMMENT ON COLUMN public.monthly_zone_summary.distance IS 'Sum of the distance, miles, likewise';
COMMENT ON COLUMN public.monthly_zone_summary.tips IS 'Sum of the tips, US dollars, likewise';
COMMENT ON COLUMN public.monthly_zone_summary.sha256 IS 'SHA-256 of the file that the rows were published from';
