import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

export interface Postgres {
  /** The folder of its Unix socket, which clients take as `host`. */
  host: string
  user: string
  stop(): Promise<void>
}

/** Debian and others keep each version's programs in a folder of its own, outside the PATH. */
const FOLDERS = ['/usr/lib/postgresql', '/usr/local/pgsql', '/opt/homebrew/opt']

/** The folder of `initdb` and `postgres`, the newest version first; undefined if there is none. */
function programs(): string | undefined {
  const versions = FOLDERS.filter(existsSync).flatMap((folder) =>
    readdirSync(folder)
      .sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
      .map((version) => join(folder, version, 'bin')),
  )
  const path = (process.env.PATH ?? '').split(delimiter)
  return [...versions, ...path].find((folder) => existsSync(join(folder, 'initdb')))
}

/** Postgres does not run as root: there it runs as the user that its package makes. */
const asUser = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : []

/**
 * Starts a Postgres of its own with its default settings, which sync each commit to the disk, on a Unix socket only.
 * @returns undefined if it is not installed
 */
export async function startPostgres(): Promise<Postgres | undefined> {
  const bin = programs()
  if (!bin) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'bursar-bench-'))
  if (asUser.length > 0) execFileSync('chown', ['postgres', folder])
  const run = (program: string, args: string[]) => {
    const [command = '', ...rest] = [...asUser, join(bin, program), ...args]
    return { command, rest }
  }
  const data = join(folder, 'data')
  const made = run('initdb', ['-D', data, '-U', 'bench', '-A', 'trust', '--no-sync'])
  execFileSync(made.command, made.rest, { stdio: 'ignore', cwd: folder })
  const server = run('postgres', [
    '-D',
    data,
    '-k',
    folder,
    '-c',
    'listen_addresses=',
    '-c',
    'max_connections=200',
  ])
  const child = spawn(server.command, server.rest, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`Postgres ended: ${said}`)))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
      if (said.includes('ready to accept connections')) resolve()
    })
  })
  return {
    host: folder,
    user: 'bench',
    stop: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      const stop = run('pg_ctl', ['-D', data, '-m', 'immediate', 'stop'])
      execFileSync(stop.command, stop.rest, { stdio: 'ignore', cwd: folder })
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
