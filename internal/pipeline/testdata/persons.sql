CREATE EXTERNAL TABLE IF NOT EXISTS `audit`.`persons` (
  `source` string,
  `user_id` string,
  `user_name` string,
  `person_key` string,
  `link_rule` string,
  `valid_from` timestamp,
  `valid_to` timestamp
)
STORED AS PARQUET
LOCATION 's3://bucket/lake/persons/'
TBLPROPERTIES (
  'classification' = 'parquet',
  'parquet.compression' = 'ZSTD'
)
