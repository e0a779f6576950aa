import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import type { Contender } from './load.ts'
import type { Postgres } from './postgres.ts'

/** Versions of the packages that the bench compares with. `package.json` does not have them: nothing else needs them. */
const PACKAGES = { 'better-auth': '1.7.25', '@better-auth/api-key': '1.7.5', pg: '8.23.1' }

const FOLDER = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bursar', 'bench')
const MANIFEST = JSON.stringify({ private: true, type: 'module', dependencies: PACKAGES })

/** Installs the packages into the user's cache, once. @returns how to import one */
export function installRivals(tell: (line: string) => void): (name: string) => Promise<Module> {
  const mark = join(FOLDER, 'installed.json')
  const installed = existsSync(mark) && createRequire(import.meta.url)(mark)
  if (JSON.stringify(installed) !== MANIFEST) {
    tell(`installing ${Object.keys(PACKAGES).join(', ')} into ${FOLDER}; this once`)
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(join(FOLDER, 'package.json'), MANIFEST)
    // The plugin asks for exact versions of its host's parts that differ from those of the newest host.
    execFileSync('npm', ['install', '--legacy-peer-deps', '--no-audit', '--no-fund', '--ignore-scripts'], {
      cwd: FOLDER,
      stdio: 'ignore',
    })
    writeFileSync(mark, MANIFEST)
  }
  const { resolve } = createRequire(join(FOLDER, 'package.json'))
  return (name) => import(pathToFileURL(resolve(name)).href)
}

// biome-ignore lint/suspicious/noExplicitAny: packages that TypeScript does not see
type Module = any

const EACH = 1_000_000_000

/**
 * better-auth's plugin for API keys, asked in the process as its documentation shows: `remaining` counts down with each
 * verification.
 */
export async function betterAuth(
  load: (name: string) => Promise<Module>,
  accounts: number,
  postgres?: Postgres,
): Promise<Contender> {
  const { betterAuth: auth } = await load('better-auth')
  const { apiKey } = await load('@better-auth/api-key')
  const { getMigrations } = await load('better-auth/db/migration')
  const folder = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
  const pg = postgres && (await load('pg')).default
  const pool = postgres && new pg.Pool({ ...client(postgres), max: 64 })
  const database = pool ?? new DatabaseSync(join(folder, 'keys.sqlite'))
  const server = auth({
    baseURL: 'http://127.0.0.1',
    database,
    secret: 'bench'.repeat(8),
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
    logger: { disabled: true },
    telemetry: { enabled: false },
  })
  await (await getMigrations(server.options)).runMigrations()
  const body = { email: 'ada@mail.example', password: 'Hello123!', name: 'Ada' }
  const { user } = await server.api.signUpEmail({ body })
  const keys: { id: string; key: string }[] = []
  for (let n = 0; n < accounts; n++)
    keys.push(await server.api.createApiKey({ body: { userId: user.id, remaining: EACH } }))
  const left = async () => {
    const sql = 'SELECT SUM(remaining) AS left FROM apikey'
    return Number(
      pool ? (await pool.query(sql)).rows[0].left : (database as DatabaseSync).prepare(sql).get()?.left,
    )
  }
  return {
    name: `better-auth api-key, ${postgres ? 'Postgres' : 'SQLite'}`,
    spend: async (account) => (await server.api.verifyApiKey({ body: { key: keys[account]?.key } })).valid,
    counted: async () => accounts * EACH - (await left()),
    close: async () => {
      await (pool ? pool.end() : (database as DatabaseSync).close())
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const client = ({ host, user }: Postgres) => ({ host, user, database: 'postgres' })

/** What one would write by hand: the id of a request and the balance in one transaction, as one statement. */
export async function byHand(
  load: (name: string) => Promise<Module>,
  accounts: number,
  postgres: Postgres,
): Promise<Contender> {
  const { default: pg } = await load('pg')
  const pool = new pg.Pool({ ...client(postgres), max: 64 })
  await pool.query('CREATE TABLE balance (id int PRIMARY KEY, units bigint NOT NULL)')
  await pool.query(
    'CREATE TABLE spent (id uuid PRIMARY KEY, account int NOT NULL, at timestamptz DEFAULT now())',
  )
  await pool.query('INSERT INTO balance SELECT n, $1 FROM generate_series(0, $2::int - 1) n', [
    EACH,
    accounts,
  ])
  const sql = `
    WITH fresh AS (INSERT INTO spent (id, account) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1)
    UPDATE balance SET units = units - 1 WHERE id = $2 AND units >= 1 AND EXISTS (SELECT FROM fresh) RETURNING units`
  return {
    name: 'Postgres by hand',
    spend: async (account) => {
      const { rowCount } = await pool.query({ name: 'spend', text: sql, values: [randomUUID(), account] })
      return rowCount === 1
    },
    counted: async () =>
      accounts * EACH - Number((await pool.query('SELECT SUM(units) AS units FROM balance')).rows[0].units),
    close: () => pool.end(),
  }
}
