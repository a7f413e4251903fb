//! Dumps of PostgreSQL and MySQL.

use twintap_scrub::SnapshotFormat::{Mysql, Postgres};

use super::{check, check_error, check_filler};
use crate::support::scrubber_of;

#[track_caller]
fn postgres(input: &str, expected: &str) {
    check_filler(Postgres, input, expected);
}

#[track_caller]
fn mysql(input: &str, expected: &str) {
    check_filler(Mysql, input, expected);
}

#[test]
fn quotes_of_postgres_stay_what_they_are() {
    postgres(
        "INSERT INTO public.t (a, b) VALUES ('O''Brien', NULL), (E'it\\'s\\n\\x41\\u0042\\\\', -1.5);",
        "INSERT INTO public.t (a, b) VALUES ('X''Xxxxx', NULL), (E'xx''x\\nXX\\\\', -1.5);",
    );
    postgres(
        "insert into t (a, b, c) values ($q$don't$q$, $$x$y$$, N'Ada' ) ;",
        "insert into t (a, b, c) values ($q$xxx'x$q$, $$x$x$$, N'Xxx' ) ;",
    );
    // Without standard strings a backslash would be another thing; here it is itself.
    postgres(
        "INSERT INTO t (a, b) VALUES ('C:\\', 'Ada');",
        "INSERT INTO t (a, b) VALUES ('X:\\', 'Xxx');",
    );
}

#[test]
fn bytes_and_bits_of_postgres_stay_bytes_and_bits() {
    postgres(
        "INSERT INTO t (a, b, c) VALUES ('\\x616461', B'0101', '\\x61646');\nCOPY t (a) FROM stdin;\n\\\\x616461\n\\.\n",
        "INSERT INTO t (a, b, c) VALUES ('\\x787878', B'0000', '\\x00000');\nCOPY t (a) FROM stdin;\n\\\\x787878\n\\.\n",
    );
}

#[test]
fn copy_keeps_tabs_nulls_and_escapes() {
    postgres(
        "COPY public.t (a, b, c) FROM stdin;\na\\tb\\\\c\t\\N\t\n\\141\\x62\t12\tN\\N\n\\.\n\n-- done\n",
        "COPY public.t (a, b, c) FROM stdin;\nx\\tx\\\\x\t\\N\t\nxx\t12\tXX\n\\.\n\n-- done\n",
    );
    postgres(
        "COPY t (a, b) FROM stdin;\r\nAda\tEve\r\n\\.\r\nCOPY t (a, b) FROM STDIN;\n\\.\n",
        "COPY t (a, b) FROM stdin;\r\nXxx\tXxx\r\n\\.\r\nCOPY t (a, b) FROM STDIN;\n\\.\n",
    );
}

#[test]
fn booleans_of_postgres_are_told_by_their_type() {
    let scrubber = scrubber_of(
        "version: 1\nbase: none\nclasses: {text: replace, word: replace, boolean: allow}\n",
    );
    let table = "CREATE TABLE public.t (a boolean DEFAULT false NOT NULL, key text);\n";
    check(
        &scrubber,
        Postgres,
        &format!(
            "{table}COPY public.t (key, a) FROM stdin;\nt\tt\n\\.\nINSERT INTO public.t VALUES (true, 'f');"
        ),
        &format!(
            "{table}COPY public.t (key, a) FROM stdin;\nx\tt\n\\.\nINSERT INTO public.t VALUES (true, 'x');"
        ),
    );
    let replaces = scrubber_of("version: 1\nbase: none\nclasses: {boolean: replace}\n");
    check(
        &replaces,
        Postgres,
        &format!("{table}COPY public.t (a) FROM stdin;\nt\n\\.\nINSERT INTO t (a) VALUES (TRUE);"),
        &format!("{table}COPY public.t (a) FROM stdin;\nf\n\\.\nINSERT INTO t (a) VALUES (false);"),
    );
}

#[test]
fn casts_and_arrays_hold_values_of_their_column() {
    postgres(
        "INSERT INTO t (a, b, c) VALUES ('Ada'::text, ARRAY['Bob', 'Eve']::varchar(9)[], now()) ON CONFLICT DO NOTHING;",
        "INSERT INTO t (a, b, c) VALUES ('Xxx'::text, ARRAY['Xxx', 'Xxx']::varchar(9)[], now()) ON CONFLICT DO NOTHING;",
    );
    check(
        &scrubber_of("version: 1\nbase: none\nclasses: {text: replace, number: replace}\n"),
        Postgres,
        "INSERT INTO t (a, b) VALUES ('Ada'::varchar(200), 55::numeric(9,2)), (ARRAY[55::bigint, 66], 7);",
        "INSERT INTO t (a, b) VALUES ('Xxx'::varchar(200), 10::numeric(9,2)), (ARRAY[10::bigint, 10], 1);",
    );
}

#[test]
fn what_postgres_defines_stays() {
    let definitions = "-- it's a dump\n/* of 'x' /* nested ; */ */\n\\restrict aB3\nSET client_encoding = 'UTF8';\nSELECT pg_catalog.set_config('search_path', '', false);\nCREATE FUNCTION f() RETURNS text AS $_$ BEGIN INSERT INTO t VALUES ('x;y'); END $_$;\nALTER TABLE ONLY t ADD CONSTRAINT c CHECK (a <> 'it''s; x');\nCREATE TABLE \"Odd;\" (\n    id integer NOT NULL, -- 'id\n    \"a\"\"b\" numeric(10,2) DEFAULT 'x'::text,\n    CONSTRAINT k CHECK ((id > 0))\n);\nCOMMENT ON TABLE t IS 'of Ada';\nSELECT pg_catalog.setval('public.t_id_seq', 42, true);\n";
    postgres(definitions, definitions);
    postgres(
        &format!("{definitions}INSERT INTO \"Odd;\" VALUES (1, 'Ada');"),
        &format!("{definitions}INSERT INTO \"Odd;\" VALUES (1, 'Xxx');"),
    );
}

#[test]
fn dumps_of_mysql_keep_all_but_values() {
    let head = "-- MySQL dump 10.13  Distrib 8.0\n/*M!999999\\- enable the sandbox mode */ \n/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\nDROP TABLE IF EXISTS `users`;\n/*!50503 SET character_set_client = utf8mb4 */;\nCREATE TABLE `users` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `na``me` varchar(9) DEFAULT 'it''s, \\'x\\'',\n  `kind` enum('a','b') COMMENT 'of \"x\"',\n  PRIMARY KEY (`id`),\n  KEY `k` (`kind`)\n) ENGINE=InnoDB COMMENT='people';\nLOCK TABLES `users` WRITE;\n/*!40000 ALTER TABLE `users` DISABLE KEYS */;\n";
    let tail = "/*!40000 ALTER TABLE `users` ENABLE KEYS */;\nUNLOCK TABLES;\n# it's over\nDELIMITER ;;\n/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER t BEFORE INSERT ON users FOR EACH ROW BEGIN INSERT INTO x VALUES ('a'); END */;;\nDELIMITER ;\n";
    mysql(
        &format!(
            "{head}INSERT INTO `users` VALUES (1,'O\\'Brien',NULL),(2,_binary 'a\\0b\\\\','Q\"t\\n'),(-3,0x616461,\"it\\\"s\");\n{tail}"
        ),
        &format!(
            "{head}INSERT INTO `users` VALUES (1,'X''Xxxxx',NULL),(2,_binary 'x\\0x\\\\','X\"x\\n'),(-3,0x787878,\"xx\"\"x\");\n{tail}"
        ),
    );
}

#[test]
fn mysql_has_bits_patterns_and_replace() {
    mysql(
        "REPLACE INTO s.t (a,b,c) VALUES (b'01','50\\%',X'616461');INSERT IGNORE INTO t (a) VALUE ('Ada') ON DUPLICATE KEY UPDATE a=VALUES(a);",
        "REPLACE INTO s.t (a,b,c) VALUES (b'00','00\\\\%',X'787878');INSERT IGNORE INTO t (a) VALUE ('Xxx') ON DUPLICATE KEY UPDATE a=VALUES(a);",
    );
}

#[test]
fn rules_name_tables_and_columns() {
    let scrubber = scrubber_of(
        "version: 1\nbase: none\nclasses: {text: replace, number: allow}\nrules:\n- at: [sql.users.name]\n  do: allow\n- names: [user-nick]\n  do: allow\n- at: [sql.secrets.*]\n  do: replace\n",
    );
    check(
        &scrubber,
        Postgres,
        "INSERT INTO public.users (NAME, note) VALUES ('Ada L', 'Ada L');\nCOPY a.users (\"userNick\", \"Name\") FROM stdin;\nAda L\tAda L\n\\.\nINSERT INTO secrets (n, t) VALUES (1234, 'x');",
        "INSERT INTO public.users (NAME, note) VALUES ('Ada L', 'Xxx X');\nCOPY a.users (\"userNick\", \"Name\") FROM stdin;\nAda L\tXxx X\n\\.\nINSERT INTO secrets (n, t) VALUES (1000, 'x');",
    );
    check(
        &scrubber,
        Mysql,
        "CREATE TABLE IF NOT EXISTS users (id int, name text);INSERT INTO users VALUES (1, 'Ada L');",
        "CREATE TABLE IF NOT EXISTS users (id int, name text);INSERT INTO users VALUES (1, 'Ada L');",
    );
}

#[test]
fn what_may_hold_values_is_refused() {
    let statement = "a statement that can't be scrubbed";
    for (input, expected) in [
        ("SELECT 1;\nUPDATE t SET a = 'x';", "line 1, byte 7: "),
        ("\nUPDATE t SET a = 'x';", "line 2, byte 1: "),
        ("INSERT INTO t (a) SELECT 'x';", "line 1, byte 18: "),
        (
            "INSERT INTO t (a) VALUES ('x') ON CONFLICT DO UPDATE SET a = 'y';",
            "line 1, byte 61: ",
        ),
        ("INSERT INTO t DEFAULT VALUES;", "line 1, byte 14: "),
        ("Ada Lovelace", "line 1, byte 0: "),
    ] {
        check_error(Postgres, input, &format!("{expected}{statement}"));
    }
    for (input, expected) in [
        (
            "INSERT INTO t VALUES (1);",
            "line 1, byte 14: the columns of this table are not known",
        ),
        (
            "INSERT INTO t (a) VALUES (1, 2);",
            "line 1, byte 29: this row has more values",
        ),
        (
            "INSERT INTO t (a, b) VALUES (1);",
            "line 1, byte 30: a row of 1 values for 2 columns",
        ),
        (
            "INSERT INTO t (a) VALUES ('x' ada);",
            "line 1, byte 30: what is in this row",
        ),
        (
            "INSERT INTO t (a) VALUES (ada);",
            "line 1, byte 26: what is in this row",
        ),
        (
            "INSERT INTO t (a) VALUES ('x' 'y');",
            "line 1, byte 30: what is in this row",
        ),
        (
            "INSERT INTO t (a) VALUES (U&'x');",
            "line 1, byte 26: a text with U&",
        ),
        (
            "INSERT INTO t (a) VALUES ('x",
            "line 1, byte 26: what begins here does not end",
        ),
        (
            "INSERT INTO t (a) VALUES ('x'",
            "line 1, byte 29: the dump ends inside",
        ),
        (
            "COPY t (a) FROM stdin;\nx\ty\n",
            "line 2, byte 23: a row of 2 values for 1 columns",
        ),
        (
            "COPY t (a) FROM stdin;\nx\n",
            "line 3, byte 25: the dump ends inside of the rows",
        ),
        (
            "COPY t (a) FROM '/f';",
            "line 1, byte 16: a COPY that can't",
        ),
        (
            "COPY t FROM stdin;",
            "line 1, byte 17: the columns of this table are not known",
        ),
        ("\\i other.sql\n", "line 1, byte 0: a command of psql"),
        (
            "SET standard_conforming_strings = off;",
            "line 1, byte 34: with this setting",
        ),
        (
            "ALTER ROLE r PASSWORD 'x';",
            "line 1, byte 22: roles and servers",
        ),
        ("CREATE TABLE `t` (a int);", "line 1, byte 13: a backtick"),
    ] {
        check_error(Postgres, input, expected);
    }
    for (input, expected) in [
        ("SET @a = 'x';", "line 1, byte 9: a text in a variable"),
        (
            "SET sql_mode = 'NO_BACKSLASH_ESCAPES';",
            "line 1, byte 15: with this setting",
        ),
        ("SELECT 'x';", "line 1, byte 0: a statement"),
        (
            "INSERT INTO t (a) VALUES ('C:\\', 'ada');",
            "line 1, byte 34: what is in this row",
        ),
        ("CALL p('x');", "line 1, byte 0: a statement"),
    ] {
        check_error(Mysql, input, expected);
    }
}
