-- A warehouse of version 0.1.0, as pg_dump wrote it: three sample months of green, of 8 rows each, loaded by that version.
-- Its main table is partitioned by filename, the name of the downloaded file. Of 2019-02, two rows are equal, and a line
-- was rejected. Owners, rights and comments are left out. What a dump can't keep, tests/integration/test_bring_over.py adds.
CREATE SCHEMA taxiway;
CREATE SCHEMA taxiway_staging;
CREATE TABLE public.green_tripdata (
    unique_row_id uuid NOT NULL,
    filename text NOT NULL,
    vendorid integer,
    lpep_pickup_datetime timestamp without time zone,
    lpep_dropoff_datetime timestamp without time zone,
    store_and_fwd_flag text,
    ratecodeid integer,
    pulocationid integer,
    dolocationid integer,
    passenger_count integer,
    trip_distance numeric,
    fare_amount numeric,
    extra numeric,
    mta_tax numeric,
    tip_amount numeric,
    tolls_amount numeric,
    ehail_fee numeric,
    improvement_surcharge numeric,
    total_amount numeric,
    payment_type integer,
    trip_type integer,
    congestion_surcharge numeric
)
PARTITION BY LIST (filename);
CREATE TABLE public.green_tripdata_2019_01 (
    unique_row_id uuid CONSTRAINT green_2019_01_ee2d1cc8896e_unique_row_id_not_null NOT NULL,
    filename text CONSTRAINT green_2019_01_ee2d1cc8896e_filename_not_null NOT NULL,
    vendorid integer,
    lpep_pickup_datetime timestamp without time zone,
    lpep_dropoff_datetime timestamp without time zone,
    store_and_fwd_flag text,
    ratecodeid integer,
    pulocationid integer,
    dolocationid integer,
    passenger_count integer,
    trip_distance numeric,
    fare_amount numeric,
    extra numeric,
    mta_tax numeric,
    tip_amount numeric,
    tolls_amount numeric,
    ehail_fee numeric,
    improvement_surcharge numeric,
    total_amount numeric,
    payment_type integer,
    trip_type integer,
    congestion_surcharge numeric
);
CREATE TABLE public.green_tripdata_2019_02 (
    unique_row_id uuid CONSTRAINT green_2019_02_2f6dcef96b8c_rows_unique_row_id_not_null NOT NULL,
    filename text CONSTRAINT green_2019_02_2f6dcef96b8c_rows_filename_not_null NOT NULL,
    vendorid integer,
    lpep_pickup_datetime timestamp without time zone,
    lpep_dropoff_datetime timestamp without time zone,
    store_and_fwd_flag text,
    ratecodeid integer,
    pulocationid integer,
    dolocationid integer,
    passenger_count integer,
    trip_distance numeric,
    fare_amount numeric,
    extra numeric,
    mta_tax numeric,
    tip_amount numeric,
    tolls_amount numeric,
    ehail_fee numeric,
    improvement_surcharge numeric,
    total_amount numeric,
    payment_type integer,
    trip_type integer,
    congestion_surcharge numeric
);
CREATE TABLE public.green_tripdata_2019_03 (
    unique_row_id uuid CONSTRAINT green_2019_03_3e9d14980274_unique_row_id_not_null NOT NULL,
    filename text CONSTRAINT green_2019_03_3e9d14980274_filename_not_null NOT NULL,
    vendorid integer,
    lpep_pickup_datetime timestamp without time zone,
    lpep_dropoff_datetime timestamp without time zone,
    store_and_fwd_flag text,
    ratecodeid integer,
    pulocationid integer,
    dolocationid integer,
    passenger_count integer,
    trip_distance numeric,
    fare_amount numeric,
    extra numeric,
    mta_tax numeric,
    tip_amount numeric,
    tolls_amount numeric,
    ehail_fee numeric,
    improvement_surcharge numeric,
    total_amount numeric,
    payment_type integer,
    trip_type integer,
    congestion_surcharge numeric
);
CREATE TABLE taxiway.loads (
    load_id bigint NOT NULL,
    source text NOT NULL,
    month date NOT NULL,
    destination text NOT NULL,
    run_id text NOT NULL,
    attempt integer NOT NULL,
    try_number integer DEFAULT 1 NOT NULL,
    fetched_load_id bigint,
    step text NOT NULL,
    state text NOT NULL,
    filename text NOT NULL,
    url text,
    etag text,
    last_modified text,
    bytes bigint,
    sha256 text,
    rows_read bigint,
    rows_rejected bigint,
    rows_staged bigint,
    rows_inserted bigint,
    rows_deleted bigint,
    rows_unchanged bigint,
    warnings text[] DEFAULT '{}'::text[] NOT NULL,
    started_at timestamp with time zone NOT NULL,
    at_work_since timestamp with time zone,
    finished_at timestamp with time zone,
    error text,
    partition_digest text,
    CONSTRAINT loads_attempt_check CHECK ((attempt > 0)),
    CONSTRAINT loads_check CHECK (((state = 'running'::text) = (finished_at IS NULL))),
    CONSTRAINT loads_state_check CHECK ((state = ANY (ARRAY['running'::text, 'published'::text, 'unchanged'::text, 'skipped'::text, 'failed'::text, 'abandoned'::text]))),
    CONSTRAINT loads_try_number_check CHECK ((try_number > 0))
);
ALTER TABLE taxiway.loads ALTER COLUMN load_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME taxiway.loads_load_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE VIEW taxiway.months AS
 SELECT DISTINCT ON (loads.source, loads.destination, loads.month) loads.source,
    loads.destination,
    loads.month,
    loads.state AS last_state,
    loads.error AS last_error,
    loads.started_at AS last_started_at,
    published.filename,
    published.url,
    published.sha256,
    published.rows_staged AS row_count,
    published.rows_rejected,
    published.warnings,
    published.finished_at AS published_at
   FROM (taxiway.loads
     LEFT JOIN LATERAL ( SELECT earlier.filename,
            earlier.url,
            earlier.sha256,
            earlier.rows_staged,
            earlier.rows_rejected,
            earlier.warnings,
            earlier.finished_at
           FROM taxiway.loads earlier
          WHERE ((earlier.source = loads.source) AND (earlier.destination = loads.destination) AND (earlier.month = loads.month) AND (earlier.state = 'published'::text))
          ORDER BY COALESCE(earlier.fetched_load_id, earlier.load_id) DESC, earlier.load_id DESC
         LIMIT 1) published ON (true))
  ORDER BY loads.source, loads.destination, loads.month, loads.load_id DESC;
CREATE TABLE taxiway.rejected_rows (
    load_id bigint NOT NULL,
    source text NOT NULL,
    month date NOT NULL,
    line_number bigint NOT NULL,
    raw_line text NOT NULL,
    reason text NOT NULL
);
ALTER TABLE ONLY public.green_tripdata ATTACH PARTITION public.green_tripdata_2019_01 FOR VALUES IN ('green_tripdata_2019-01.csv.gz');
ALTER TABLE ONLY public.green_tripdata ATTACH PARTITION public.green_tripdata_2019_02 FOR VALUES IN ('green_tripdata_2019-02.csv.gz');
ALTER TABLE ONLY public.green_tripdata ATTACH PARTITION public.green_tripdata_2019_03 FOR VALUES IN ('green_tripdata_2019-03.csv.gz');
INSERT INTO public.green_tripdata_2019_01 VALUES
	('b7fa02f6-9fdb-600e-d86d-167534f7dd36', 'green_tripdata_2019-01.csv.gz', 1, '2019-01-06 07:28:31', '2019-01-06 07:48:09', 'N', 1, 74, 65, 1, 3.00, 13, 0, 0.5, 0, 0, NULL, 0.3, 13.8, 2, 1, NULL),
	('3421fb05-1572-a3f9-a4e0-054786a12e31', 'green_tripdata_2019-01.csv.gz', 2, '2019-01-11 10:59:33', '2019-01-11 11:09:25', 'N', 1, 239, 27, 1, 3.02, 11.5, 0, 0.5, 0, 0, NULL, 0.3, 12.3, 2, 1, NULL),
	('0d2ca40a-b071-18e6-c3f0-738f4f0bd5ac', 'green_tripdata_2019-01.csv.gz', 2, '2019-01-16 14:43:09', '2019-01-16 14:48:20', 'N', 1, 55, 74, 1, 1.73, 7.5, 0, 0.5, 1.66, 0, NULL, 0.3, 9.96, 1, 1, NULL),
	('ebbe9e3a-1b83-d58c-6158-cfe4262b0572', 'green_tripdata_2019-01.csv.gz', 2, '2019-01-21 18:56:21', '2019-01-21 19:06:25', 'N', 1, 244, 65, 1, 2.33, 10, 1, 0.5, 0, 0, NULL, 0.3, 11.8, 2, 1, NULL),
	('e57ef6cb-0de3-18dc-0529-dbf38fc24f0d', 'green_tripdata_2019-01.csv.gz', 2, '2019-01-26 20:48:20', '2019-01-26 20:52:05', 'N', 1, 252, 99, 1, 0.66, 4.5, 0.5, 0.5, 0, 0, NULL, 0.3, 5.8, 2, 1, NULL),
	('1e598a55-0333-bb47-14ea-4585e7279be9', 'green_tripdata_2019-01.csv.gz', 2, '2019-01-31 23:52:49', '2019-02-01 00:16:47', 'N', 1, 116, 43, 1, 4.22, 17, 0.5, 0.5, 0, 0, NULL, 0.3, 18.3, 2, 1, NULL),
	('6fe4e6e0-52a3-9ad7-57f3-e652fe51990e', 'green_tripdata_2019-01.csv.gz', NULL, '2019-01-16 14:40:00', '2019-01-16 14:43:00', NULL, NULL, 181, 43, NULL, 0.60, 8.73, 0, 0, 2.75, 0, NULL, 0.3, 11.78, NULL, NULL, NULL),
	('d0739707-939d-bc59-a601-4cd4c0619d28', 'green_tripdata_2019-01.csv.gz', NULL, '2019-01-31 23:41:00', '2019-02-01 00:36:00', NULL, NULL, 66, 2, NULL, 17.50, 53.94, 0, 0, 2.75, 0, NULL, 0.3, 56.99, NULL, NULL, NULL);
INSERT INTO public.green_tripdata_2019_02 VALUES
	('eff5884d-3a25-5198-0182-abd70c3f9cc8', 'green_tripdata_2019-02.csv.gz', 2, '2019-02-05 18:45:55', '2019-02-05 19:21:22', 'N', 1, 145, 129, 1, 9.19, 32, 1, 0.5, 2, 6.12, NULL, 0.3, 41.92, 1, 1, 0),
	('a90a7b27-7b44-4ae4-d443-aa34430c14a1', 'green_tripdata_2019-02.csv.gz', 2, '2019-02-10 13:49:16', '2019-02-10 14:02:32', 'N', 1, 104, 142, 1, 7.17, 22.5, 0, 0.5, 0, 12.24, NULL, 0.3, 35.54, 2, 1, 0),
	('03574a6f-e00a-b886-c9d0-5ee566ea0002', 'green_tripdata_2019-02.csv.gz', 2, '2019-02-14 23:39:37', '2019-02-14 23:42:46', 'N', 1, 166, 143, 1, 0.80, 4.5, 0.5, 0.5, 2, 0, NULL, 0.3, 7.8, 1, 1, 0),
	('e4e1d783-376a-9737-58d9-fd8941e37d02', 'green_tripdata_2019-02.csv.gz', 1, '2019-02-19 18:59:12', '2019-02-19 19:09:42', 'N', 1, 121, 68, 1, 1.93, 9, 1, 0.5, 2.7, 0, NULL, 0.3, 13.5, 1, 1, 0),
	('1e02fbad-07d6-4d21-c2c3-cf429355d429', 'green_tripdata_2019-02.csv.gz', 1, '2019-02-24 13:40:38', '2019-02-24 13:49:16', 'N', 1, 89, 15, 1, 1.56, 7.5, 0, 0.5, 1, 0, NULL, 0.3, 9.3, 1, 1, 0),
	('0ea1c8e9-c797-b234-da02-b72190532dc5', 'green_tripdata_2019-02.csv.gz', 2, '2019-02-28 23:26:35', '2019-02-28 23:39:14', 'N', 1, 244, 244, 1, 2.35, 10.5, 0.5, 0.5, 0, 0, NULL, 0.3, 11.8, 2, 1, 0),
	('d22d3cda-3097-8a23-64de-d31210be13c0', 'green_tripdata_2019-02.csv.gz', NULL, '2019-02-14 23:25:00', '2019-02-15 00:08:00', NULL, NULL, 132, 55, NULL, 11.63, 37.62, 0, 0, 0, 0, NULL, 0.3, 37.92, NULL, NULL, NULL),
	('9de218b4-550f-3cb3-c02f-e0be769dfe9f', 'green_tripdata_2019-02.csv.gz', NULL, '2019-02-28 23:28:00', '2019-02-28 23:40:00', NULL, NULL, 43, 143, NULL, 3.21, 15.55, 0, 0, 2.75, 0, NULL, 0.3, 18.6, NULL, NULL, NULL),
	('ff2c67c5-adcd-f3b7-019b-102a157616df', 'green_tripdata_2019-02.csv.gz', 2, '2019-02-05 18:45:55', '2019-02-05 19:21:22', 'N', 1, 145, 129, 1, 9.19, 32, 1, 0.5, 2, 6.12, NULL, 0.3, 41.92, 1, 1, 0);
INSERT INTO public.green_tripdata_2019_03 VALUES
	('482d6d7e-3348-30fb-9427-757cfbabc97a', 'green_tripdata_2019-03.csv.gz', 2, '2019-03-06 08:56:20', '2019-03-06 09:22:44', 'N', 1, 106, 226, 1, 11.13, 35, 0, 0.5, 3, 6.12, NULL, 0.3, 44.92, 1, 1, 0),
	('34df259d-b642-a9c3-7232-83e0f91d1e2d', 'green_tripdata_2019-03.csv.gz', 2, '2019-03-11 12:02:26', '2019-03-11 12:05:39', 'N', 1, 254, 66, 4, 1.01, 5.5, 0, 0.5, 0, 0, NULL, 0.3, 6.3, 2, 1, 0),
	('01bdafae-c264-9cdd-31be-5113e90b7ec0', 'green_tripdata_2019-03.csv.gz', 2, '2019-03-16 13:30:06', '2019-03-16 13:37:01', 'N', 1, 34, 116, 1, 1.17, 6, 0, 0.5, 0, 0, NULL, 0.3, 6.8, 2, 1, 0),
	('2e81c8e9-1299-ab42-7efb-c118a7ab4e8e', 'green_tripdata_2019-03.csv.gz', 1, '2019-03-21 16:35:22', '2019-03-21 16:39:28', 'N', 1, 129, 107, 1, 0.88, 5, 1, 0.5, 0, 0, NULL, 0.3, 6.8, 2, 1, 0),
	('b6eb6b5a-d3b2-9f59-6f2a-6ae6271ecbad', 'green_tripdata_2019-03.csv.gz', 2, '2019-03-26 19:14:45', '2019-03-26 19:25:04', 'N', 1, 74, 66, 1, 2.16, 9.5, 1, 0.5, 2.26, 0, NULL, 0.3, 13.56, 1, 1, 0),
	('0aa8a821-e7d8-5173-4e85-1e853f1ead87', 'green_tripdata_2019-03.csv.gz', 2, '2019-03-31 23:55:01', '2019-04-01 00:00:48', 'N', 1, 109, 84, 1, 1.37, 6.5, 0.5, 0.5, 3, 0, NULL, 0.3, 10.8, 1, 1, 0),
	('ce8896f6-fd67-4286-0ea3-8ffdbd12247c', 'green_tripdata_2019-03.csv.gz', NULL, '2019-03-16 13:10:00', '2019-03-16 13:16:00', NULL, NULL, 93, 181, NULL, 1.85, 10.55, 0, 0, 2.75, 0, NULL, 0.3, 13.6, NULL, NULL, NULL),
	('f846fa7b-0f3e-2011-7172-7959307296f1', 'green_tripdata_2019-03.csv.gz', NULL, '2019-03-31 23:26:00', '2019-03-31 23:44:00', NULL, NULL, 7, 227, NULL, 3.77, 17.05, 0, 0, 2.75, 0, NULL, 0.3, 20.1, NULL, NULL, NULL);
INSERT INTO taxiway.loads OVERRIDING SYSTEM VALUE VALUES
	(2, 'green', '2019-02-01', 'postgres', 'manual__2019-02', 1, 1, NULL, 'merge_month', 'published', 'green_tripdata_2019-02.csv.gz', 'http://mirror.test/green_tripdata_2019-02.csv.gz', NULL, NULL, 504, 'de8c368c51a6fea699bede258a8c78b2c1e6c8c6257699ae7aeb9c77396e4f1d', 10, 1, 9, 9, 0, 0, '{}', '2026-11-28 23:51:57.557731+00', NULL, '2026-11-28 23:51:57.842326+00', NULL, '96a31b2311c5802a413c24f756e68f93'),
	(1, 'green', '2019-01-01', 'postgres', 'manual__2019-01', 1, 1, NULL, 'merge_month', 'published', 'green_tripdata_2019-01.csv.gz', 'http://mirror.test/green_tripdata_2019-01.csv.gz', NULL, NULL, 473, 'c956c20ce736dea40ca566f40cabc761f002526591fc1a1558e6999e58f3d2a1', 8, 0, 8, 8, 0, 0, '{}', '2026-11-28 23:51:57.143088+00', NULL, '2026-11-28 23:51:57.478926+00', NULL, 'df6d049542a08d323c6d8515b2409a44'),
	(3, 'green', '2019-03-01', 'postgres', 'manual__2019-03', 1, 1, NULL, 'merge_month', 'published', 'green_tripdata_2019-03.csv.gz', 'http://mirror.test/green_tripdata_2019-03.csv.gz', NULL, NULL, 487, '21c1084a2132bf11651493059e7d8ef9f084235834764a4e8c494456f299ccd4', 8, 0, 8, 8, 0, 0, '{}', '2026-11-28 23:51:57.903555+00', NULL, '2026-11-28 23:51:58.046493+00', NULL, 'cdf9a70e7754c487b3edab5e6ded709b');
INSERT INTO taxiway.rejected_rows VALUES
	(2, 'green', '2019-02-01', 11, 'no row', '1 fields, expected 20');
SELECT pg_catalog.setval('taxiway.loads_load_id_seq', 3, true);
ALTER TABLE ONLY taxiway.loads
    ADD CONSTRAINT loads_pkey PRIMARY KEY (load_id);
ALTER TABLE ONLY taxiway.loads
    ADD CONSTRAINT loads_source_month_destination_run_id_attempt_key UNIQUE (source, month, destination, run_id, attempt);
ALTER TABLE ONLY taxiway.rejected_rows
    ADD CONSTRAINT rejected_rows_pkey PRIMARY KEY (load_id, line_number);
CREATE UNIQUE INDEX green_tripdata_2019_01_unique_row_id ON public.green_tripdata_2019_01 USING btree (unique_row_id);
ALTER TABLE ONLY public.green_tripdata_2019_01 REPLICA IDENTITY USING INDEX green_tripdata_2019_01_unique_row_id;
CREATE UNIQUE INDEX green_tripdata_2019_02_unique_row_id ON public.green_tripdata_2019_02 USING btree (unique_row_id);
ALTER TABLE ONLY public.green_tripdata_2019_02 REPLICA IDENTITY USING INDEX green_tripdata_2019_02_unique_row_id;
CREATE UNIQUE INDEX green_tripdata_2019_03_unique_row_id ON public.green_tripdata_2019_03 USING btree (unique_row_id);
ALTER TABLE ONLY public.green_tripdata_2019_03 REPLICA IDENTITY USING INDEX green_tripdata_2019_03_unique_row_id;
ALTER TABLE ONLY taxiway.rejected_rows
    ADD CONSTRAINT rejected_rows_load_id_fkey FOREIGN KEY (load_id) REFERENCES taxiway.loads(load_id) ON DELETE CASCADE;
