import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { findDynoxide } from './dynoxide.ts'

/** The database under the local stack. */
export interface Database {
  url: string
  /** Ends it if it was started here. */
  stop(): Promise<void>
}

export interface DatabaseOptions {
  /** Where the data live; omitted, in memory. */
  dbFile?: string
  /** An http URL of a DynamoDB to use instead of starting one; an empty text is none. */
  endpoint?: string
}

const START_LIMIT_MS = 10_000

/**
 * Starts Dynoxide, or takes the database of the endpoint.
 * @throws Error with a sentence for the person at the terminal.
 */
export async function openDatabase({ dbFile, endpoint }: DatabaseOptions): Promise<Database> {
  return endpoint ? databaseAt(endpoint) : startDatabase(dbFile)
}

async function databaseAt(endpoint: string): Promise<Database> {
  const url = URL.parse(endpoint)
  if (url?.protocol !== 'http:') {
    throw new Error(
      `DYNAMODB_ENDPOINT is ${endpoint}, which is no http URL. Set it to one such as http://127.0.0.1:8000, or unset it.`,
    )
  }
  const answer = await fetch(url).catch((error: Error) => {
    const { message } = error.cause instanceof Error ? error.cause : error
    throw new Error(
      `Nothing answers at DYNAMODB_ENDPOINT ${endpoint} (${message}). Start that database, or unset DYNAMODB_ENDPOINT.`,
    )
  })
  await answer.body?.cancel()
  return { url: endpoint.replace(/\/$/, ''), stop: async () => {} }
}

async function startDatabase(dbFile: string | undefined): Promise<Database> {
  const dataFolder = dbFile === undefined ? undefined : dirname(dbFile)
  if (dataFolder !== undefined) mkdirSync(dataFolder, { recursive: true })
  const program = await findDynoxide(dataFolder)
  for (let tries = 1; ; tries += 1) {
    const started = await launch(program, await freePort(), dbFile)
    if ('url' in started) return started
    const portTaken = started.failure.includes('already in use')
    if (portTaken && tries < 5) continue
    throw new Error(
      dbFile === undefined || portTaken
        ? `Dynoxide (${program}) did not start: ${started.failure}`
        : `Dynoxide cannot use ${dbFile} (${started.failure}). Delete that file to start afresh.`,
    )
  }
}

/**
 * `sh` runs the database and a watcher that reads a pipe only this process holds open. When this process
 * is gone, by kill -9 too, the pipe ends and the watcher kills the database. (Linux's parent-death
 * signal would need a helper program, and misses a parent that dies before the helper has run.)
 */
const SUPERVISED = `
exec 3<&0
"$@" </dev/null 3<&- &
database=$!
{ read -r never <&3; kill -KILL $database; } >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $database
code=$?
{ kill $watcher; wait $watcher; } 2>/dev/null
exit $code`

/** Commands that run a program until it ends or their stdin does. */
export const supervisors = {
  /** Starts in a millisecond and takes next to no memory, which counts where each test file starts a database. */
  sh: (program: string, args: string[]) => ['/bin/sh', '-c', SUPERVISED, 'sh', program, ...args],
  /** Runs everywhere. */
  node: (program: string, args: string[]) => [
    process.execPath,
    join(import.meta.dirname, 'supervise.ts'),
    program,
    ...args,
  ],
}

/**
 * Resolves once the database listens, or with what it said when it died or kept silent.
 * @param supervisor how the database ends with this process.
 */
export function launch(
  program: string,
  port: number,
  dbFile: string | undefined,
  supervisor = process.platform === 'win32' ? supervisors.node : supervisors.sh,
): Promise<Database | { failure: string }> {
  const args = ['--host', '127.0.0.1', '--port', String(port)]
  if (dbFile !== undefined) args.push('--db-path', dbFile)
  const [command = '', ...rest] = supervisor(program, args)
  // A session of its own: Ctrl-C at the terminal must not stop the database before what uses it.
  const child = spawn(command, rest, { stdio: ['pipe', 'ignore', 'pipe'], detached: true, windowsHide: true })
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = () => {
    child.stdin.destroy()
    return gone
  }
  const url = `http://127.0.0.1:${port}`
  return new Promise((resolve) => {
    let said = ''
    const fail = (failure: string) => {
      clearTimeout(limit)
      resolve({ failure })
    }
    const limit = setTimeout(() => {
      fail(`it does not listen after ${START_LIMIT_MS} ms; it said: ${said.trim()}`)
      void stop()
    }, START_LIMIT_MS)
    // It writes this line after `listen`. Asking the port instead could reach another program's.
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-10_000)
      if (!said.includes(`listening on ${url}`)) return
      clearTimeout(limit)
      resolve({ url, stop })
    })
    child.once('error', (error) => fail(error.message))
    child.once('close', (code) => fail(said.trim() || `it ended with code ${code}`))
  })
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}
