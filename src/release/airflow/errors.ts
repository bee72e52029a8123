/**
 * Errors with which an Airflow ends on a database, a configuration or an image that does not fit it. Each message is
 * quoted from the source that `from` names; test/release/lastwords holds what the real programs printed.
 */

export interface KnownError {
  says: RegExp;
  /** What it is and what to do; $1 is what the first group of `says` holds. */
  means: string;
  /** Where the message is made. */
  from: string;
}

const reread = 'set the newer image again, and then this one once more: downdraft converts such rows';
const schema = 'compare the heads in its version tables with what this image needs, and set an image that fits';

/** The first that fits a line counts. */
export const knownErrors: readonly KnownError[] = [
  {
    says: /KeyError: (?:<Encoding\.VAR: )?'__var'/,
    means: `rows in the form of Airflow 3.2 are there (tasks that were deferred, triggers), and no version before 3.2 reads them (apache/airflow#68317): ${reread}`,
    from: 'airflow/serialization/serialized_objects.py, BaseSerialization.deserialize, 2.x to 3.1',
  },
  {
    says: /Can't locate revision identified by '(\w+)'/,
    means: `the database is at revision $1, which this image has no script for: it is ahead of this image; ${schema}, and never empty the version table`,
    from: 'alembic/script/base.py, _catch_revision_errors',
  },
  {
    says: /There are still unapplied migrations after .*in DB: set\(\)/,
    means:
      'the database is empty or has no version table: let the migration Job run, or look whether it is the right database',
    from: 'airflow/utils/db.py, check_migrations',
  },
  {
    says: /There are still unapplied migrations after .*in DB: (\{[^}]*\}) .*Source Code: \1/,
    means:
      "core's schema is where this image needs it, so a provider's is not: compare the tables alembic_version_… with what this image needs, or install the provider's version of the newer image",
    from: 'airflow/utils/db.py, check_migrations, which tells the heads of core alone',
  },
  {
    says: /There are still unapplied migrations after .*in DB: \{([^}]*)\}[^{]*(?:\{([^}]*)\})?/,
    means: `the database is at $1 and this image needs $2: it gave up waiting for that; ${schema}`,
    from: 'airflow/utils/db.py, check_migrations',
  },
  {
    says: /There are still unapplied migrations/,
    means: `the schema of Airflow or of a provider is not where this image needs it; ${schema}`,
    from: 'airflow/utils/db.py, check_migrations',
  },
  {
    says: /You need to initialize the database/,
    means: 'the database is empty: let the migration Job run, or look whether it is the right database',
    from: 'airflow/utils/db.py, check_and_run_migrations',
  },
  {
    says: /You need to (?:migrate|upgrade) the database|Database migration required/,
    means: `the database is not where this image needs it, ahead or behind; ${schema}`,
    from: 'airflow/utils/db.py, check_and_run_migrations; the second of 3.2 and newer',
  },
  {
    says: /\bInvalidToken\b(?!Error)/,
    means:
      "the image's Fernet key does not open what is stored (connections, variables, triggers): give it the key of the newer image, as a list of both if it was changed (AIRFLOW__CORE__FERNET_KEY=new,old)",
    from: 'cryptography/fernet.py, raised through airflow/models/crypto.py',
  },
  {
    says: /Could not create Fernet object/,
    means: "the image's Fernet key is none: it has to be 32 bytes, in URL-safe base64",
    from: 'airflow/models/crypto.py',
  },
  {
    says: /(?:violates unique constraint "|for key '\S*)dag_run_dag_id_(?:run_id|execution_date|logical_date)_key/,
    means:
      "the scheduler makes a run that is there already, since a newer version names runs and sets a Dag's next run in another way (apache/airflow#65688): set next_dagrun of that Dag to NULL in the table dag; if it comes again, rename or delete the run that is there",
    from: "PostgreSQL's unique_violation or MySQL's error 1062, on a constraint of airflow/models/dagrun.py",
  },
  {
    says: /relation "ab_\w+" does not exist|Table '[^']*\bab_\w+' doesn't exist|no such table: ab_\w+|column ab_\w+\.\w+ does not exist|Unknown column 'ab_\w+/,
    means:
      "the tables of the FAB provider are not there, or not those of this image: run `airflow fab-db migrate` of this image, or install the provider's version of the newer one",
    from: "PostgreSQL's undefined_table and undefined_column, MySQL's errors 1146 and 1054, SQLite",
  },
  {
    says: /(?:column|relation|type) \S+ (?:of relation \S+ )?does not exist|Table '[^']+' doesn't exist|Unknown column '[^']+'|no such (?:table|column): \S+/,
    means: `the schema is not the one that the version table tells of, ahead or behind: was the table stamped by hand? ${schema}`,
    from: "PostgreSQL's undefined_column, undefined_table and undefined_object, MySQL's errors 1146 and 1054, SQLite",
  },
  {
    says: /database "[^"]+" does not exist|Unknown database '[^']+'/,
    means: 'the connection names a database that the server does not have: correct it',
    from: "PostgreSQL's invalid_catalog_name, MySQL's error 1049",
  },
  {
    says: /too many connections|too many clients already|remaining connection slots are reserved|no more connections allowed/i,
    means: "the server gives no more connections: raise its limit or the user's, or end those that are not needed",
    from: "PostgreSQL's too_many_connections, MySQL's error 1040, PgBouncer's max_client_conn",
  },
  {
    says: /password authentication failed for user|Access denied for user/,
    means: 'the server does not take the login of the connection: correct user or password in its Secret',
    from: "PostgreSQL's invalid_password, MySQL's error 1045",
  },
  {
    says: /could not translate host name|Name or service not known|Temporary failure in name resolution/,
    means: "the server's host name is not known here: correct the connection, or look at the cluster's DNS",
    from: "libpq's message for getaddrinfo, and the C library's own",
  },
  {
    says: /Connection refused/,
    means: 'nobody listens there: is the server up, is the port right, does a NetworkPolicy stand between?',
    from: "the C library's message of ECONNREFUSED",
  },
  {
    says: /No module named ' /,
    means:
      'a name in a list of the configuration begins with a space, which Airflow takes off only from 3.2 on: look at external_db_managers in [database]',
    from: "Python's ModuleNotFoundError, through airflow/utils/db_manager.py",
  },
  {
    says: /No module named '(airflow\.providers\.[\w.]+)'/,
    means:
      'the image lacks the provider with $1, which the configuration or a plugin names: build it with that provider, or take the name out',
    from: "Python's ModuleNotFoundError",
  },
  {
    says: /could not be loaded\. Please check "(\w+)" key in "(\w+)" section/,
    means:
      'the setting $1 in [$2] names something that this image lacks: build it with that package, or change the setting',
    from: 'airflow/configuration.py, getimport; airflow/executors/executor_loader.py',
  },
  {
    says: /No module named '([\w.]+)'/,
    means: 'the image lacks the Python module $1: build it with that package',
    from: "Python's ModuleNotFoundError",
  },
  {
    says: /no database is named in this container/,
    means:
      "what names it is not in the pod's spec, but is put there by its command, entry point or image, and this copy does not have it: set runner: OldPod in the DowngradePolicy, or name the connection in the pod's env",
    from: 'src/inside/downdraft/environment.py, named_file',
  },
  {
    says: /exec format error/,
    means: 'the image is for another kind of processor than the node has',
    from: "the C library's message of ENOEXEC",
  },
];
