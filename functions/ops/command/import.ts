import { createWriteStream } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { ops } from '../routes.ts'
import { CallRefused } from './client.ts'
import { type Commands, command, type Input, type Terminal } from './command.ts'
import { type ImportTools, importLines, LINE_BYTES, type LineResult, type Sent } from './import-run.ts'
import { readLines } from './lines.ts'

export const importCommands = {
  import: command(ops.importUsers, {
    summary: 'imports accounts from a file with the JSON of one user a line; repeat it, and it goes on',
    takes: ['file'],
    flags: {
      dryRun: 'only looks, lists every line that would be refused, and writes nothing',
      invite: 'mails each new account a link to choose a password; otherwise nobody gets a mail',
      reason: 'why, for the audit log; the name of the file without it',
    },
    asks: ({ file, dryRun, invite }) =>
      dryRun
        ? undefined
        : `This imports the accounts of ${file}, and ${invite ? 'mails an invitation to each' : 'mails nobody'}. Check the file with --dry-run first.`,
    show: () => '',
    run: (terminal, input) => importFile(terminal, input),
  }),
} satisfies Commands

/** The file that keeps the results of a file of users, beside it. */
export const resultsFileOf = (file: string): string => `${file.replace(/\.jsonl$/, '')}.results.jsonl`

/** Imports a file. @returns what to show at the end @throws Error with a sentence for people */
export async function importFile(
  terminal: Terminal,
  input: Input,
  pause: ImportTools['wait'] = wait,
): Promise<string> {
  const { file: name, dryRun = false, invite = false, reason = `import of ${name}` } = input
  const file = String(name)
  const { size } = await stat(file).catch(() => {
    throw new Error(`The file ${file} cannot be read.`)
  })
  const results = dryRun ? undefined : await appendTo(resultsFileOf(file))
  const tally = new Tally(size)
  const tools: ImportTools = {
    send: (users) => send(terminal, { users, dryRun, invite, reason }),
    async keep(kept, endsAt) {
      await results?.write(kept)
      tally.add(kept, endsAt)
      for (const { line, reason: why, status } of kept)
        if (status === 'refused')
          terminal.print(terminal.json ? JSON.stringify({ line, reason: why }) : `line ${line}: ${why}`)
      terminal.progress(tally.bar())
    },
    waiting: (seconds, why) => terminal.progress(`${tally.bar()}  waiting ${seconds} s: ${why}`),
    wait: pause,
    findsTwins: dryRun === true,
  }
  try {
    await importLines(readLines(file, LINE_BYTES), tools)
  } finally {
    await results?.end()
    terminal.progress('')
  }
  const { counts } = tally
  return terminal.json ? JSON.stringify(counts) : summaryOf(counts, dryRun ? undefined : resultsFileOf(file))
}

async function send(terminal: Terminal, input: Input): Promise<Sent> {
  try {
    return await terminal.call(ops.importUsers, input)
  } catch (error) {
    if (!(error instanceof CallRefused)) throw error
    const { status, fields, retryAfterSeconds: waitSeconds } = error
    if (status === 400 && fields.length > 0) return { refused: fields }
    if (status === undefined) return { waitSeconds, why: 'no answer came' }
    if (status === 429 || status >= 500) return { waitSeconds, why: 'the deployment is busy' }
    throw error
  }
}

/** Appends lines to a file. A line that an earlier run has left unfinished is ended first. */
async function appendTo(file: string) {
  const isCut = await endsWithoutNewline(file)
  const stream = createWriteStream(file, { flags: 'a' })
  const put = (text: string) =>
    new Promise<void>((resolve, reject) => stream.write(text, (error) => (error ? reject(error) : resolve())))
  if (isCut) await put('\n')
  return {
    write: (results: readonly LineResult[]) =>
      put(results.map((result) => `${JSON.stringify(result)}\n`).join('')),
    end: () => new Promise<void>((resolve) => stream.end(resolve)),
  }
}

async function endsWithoutNewline(file: string): Promise<boolean> {
  const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (!handle) return false
  try {
    const { size } = await handle.stat()
    if (size === 0) return false
    const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1)
    return buffer.toString() !== '\n'
  } finally {
    await handle.close()
  }
}

/** How far the import is. */
class Tally {
  readonly counts = { lines: 0, imported: 0, before: 0, importable: 0, refused: 0 }
  readonly #sinceMs = Date.now()
  readonly #size: number
  #endsAt = 0

  constructor(size: number) {
    this.#size = size
  }

  add(results: readonly LineResult[], endsAt: number): void {
    this.#endsAt = Math.max(this.#endsAt, endsAt)
    for (const { status, replayed } of results) {
      this.counts.lines += 1
      this.counts[replayed ? 'before' : status] += 1
    }
  }

  /** The bar of progress, with what is left at the speed so far. */
  bar(): string {
    const share = this.#size === 0 ? 1 : this.#endsAt / this.#size
    const seconds = (Date.now() - this.#sinceMs) / 1000
    const left = share > 0 ? Math.ceil((seconds * (1 - share)) / share) : 0
    const filled = Math.round(share * BAR)
    const { lines, refused } = this.counts
    return `[${'#'.repeat(filled)}${'-'.repeat(BAR - filled)}] ${Math.floor(share * 100)} %  ${lines} lines, ${refused} refused, ${Math.round(lines / Math.max(seconds, 1))} a second, ${left} s left`
  }
}

const BAR = 24

function summaryOf(
  { imported, before, importable, refused }: Tally['counts'],
  results: string | undefined,
): string {
  if (results === undefined)
    return `${importable} can be imported, ${before} were imported before, ${refused} would be refused. Nothing was written.`
  return `${imported} imported, ${before} imported before, ${refused} refused. The result of each line is in ${results}.`
}
