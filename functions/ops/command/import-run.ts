import { emailKey, usernameKey } from '../../../core/account/fields.ts'
import { importRefusalTexts } from '../../../core/account/import-refusals.ts'
import type { ops } from '../routes.ts'
import { IMPORT_BATCH } from '../rows/import.ts'
import type { Answer } from './command.ts'
import type { Line } from './lines.ts'

/** What the command found out about one line. */
export interface LineResult {
  line: number
  status: 'imported' | 'importable' | 'refused'
  /** The account's id. */
  id?: string | undefined
  /** An earlier run had imported it. */
  replayed?: true | undefined
  /** Why the line is refused, for people. */
  reason?: string | undefined
}

type Result = Answer<typeof ops.importUsers>['results'][number]

/** What became of one request: results, fields that are not as they must be, or nothing yet. */
export type Sent =
  | { results: readonly Result[] }
  | { refused: readonly { field: string; message: string }[] }
  | { waitSeconds: number | undefined; why: string }

/** What an import works with. */
export interface ImportTools {
  /** Sends users, at most `IMPORT_BATCH`. @throws Error with a sentence for people, if it makes no sense to go on */
  send(users: readonly object[]): Promise<Sent>
  /** Keeps the results of some lines. */
  keep(results: readonly LineResult[], endsAt: number): Promise<void>
  /** Tells that the deployment has to be waited for. */
  waiting(seconds: number, why: string): void
  wait(ms: number): Promise<unknown>
  /** Also finds lines about the same address or name in the whole file. It takes about 200 bytes of memory a line. */
  findsTwins: boolean
}

/** Requests at once. */
const WIDTH = 4

/** The bytes of one request: 64 KiB are the limit, and the request has more than the users. */
const BATCH_BYTES = 60_000

/** The longest line, bytes: a whole request of its own. */
export const LINE_BYTES = BATCH_BYTES

/** How often in a row a request is tried of which nothing is known; with these waits about a quarter of an hour. */
const TRIES = 40
const LONGEST_WAIT_SECONDS = 30

interface User {
  line: number
  user: object
}

interface Batch {
  users: User[]
  bytes: number
  /** Lines that are refused without being sent. */
  refused: LineResult[]
  endsAt: number
}

/** Imports all lines, several requests at once, each until the result of each of its lines is known. */
export async function importLines(lines: AsyncIterable<Line>, tools: ImportTools): Promise<void> {
  const batches = batchesOf(lines, tools.findsTwins ? twinFinder() : () => undefined)
  const work = async () => {
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const { users, refused, endsAt } = next.value
      await tools.keep([...refused, ...(await importBatch(users, tools))], endsAt)
    }
  }
  await Promise.all(Array.from({ length: WIDTH }, work))
}

/** Cuts the lines into requests. */
async function* batchesOf(
  lines: AsyncIterable<Line>,
  twinOf: (user: object, line: number) => string | undefined,
): AsyncGenerator<Batch, undefined> {
  const empty = (): Batch => ({ users: [], bytes: 0, refused: [], endsAt: 0 })
  let batch = empty()
  for await (const { number, text, endsAt } of lines) {
    const bytes = Buffer.byteLength(text ?? '')
    if (batch.users.length === IMPORT_BATCH || batch.bytes + bytes > BATCH_BYTES) {
      yield batch
      batch = empty()
    }
    batch.endsAt = endsAt
    if (text?.trim() === '') continue
    const user = userIn(text)
    const reason = typeof user === 'string' ? user : twinOf(user, number)
    if (typeof user === 'string' || reason !== undefined)
      batch.refused.push({ line: number, status: 'refused', reason })
    else {
      batch.users.push({ line: number, user })
      batch.bytes += bytes
    }
  }
  yield batch
}

/** The user of a line, or what is wrong with the line. */
function userIn(text: string | undefined): object | string {
  if (text === undefined) return `is longer than ${LINE_BYTES} bytes`
  try {
    const user: unknown = JSON.parse(text)
    return typeof user === 'object' && user !== null && !Array.isArray(user) ? user : 'is no JSON object'
  } catch {
    return 'is no JSON'
  }
}

/** Remembers the address and the name of each line. */
function twinFinder(): (user: object, line: number) => string | undefined {
  const seen = new Map<string, number>()
  return (user, line) => {
    const { email, username } = user as Record<string, unknown>
    const names = [
      ...(typeof email === 'string' ? [`e-mail address ${emailKey(email)}`] : []),
      ...(typeof username === 'string' ? [`username ${usernameKey(username)}`] : []),
    ]
    const twin = names.find((name) => seen.has(name))
    if (twin !== undefined)
      return `has the ${twin.split(' ').slice(0, -1).join(' ')} of line ${seen.get(twin)}`
    for (const name of names) seen.set(name, line)
    return undefined
  }
}

/** Sends users until the result of each is known. @throws Error if the deployment does not answer for long */
async function importBatch(all: User[], tools: ImportTools): Promise<LineResult[]> {
  const results: LineResult[] = []
  let left = all
  for (let tries = 0; left.length > 0; tries++) {
    if (tries === TRIES)
      throw new Error(
        'The deployment has not answered for long. Repeat the command later: it makes nothing twice.',
      )
    const sent = await tools.send(left.map(({ user }) => user))
    const [known, again] = sortOut(left, sent)
    results.push(...known)
    // What was refused is left out of the next request, which need not wait.
    if (again.length > 0 && !('refused' in sent)) {
      const { waitSeconds = 2 ** tries, why = 'a service did not answer' } = 'why' in sent ? sent : {}
      const seconds = Math.min(waitSeconds, LONGEST_WAIT_SECONDS)
      tools.waiting(seconds, why)
      await tools.wait(seconds * 1000)
    }
    if ('results' in sent && known.length > 0) tries = 0
    left = again
  }
  return results.sort((a, b) => a.line - b.line)
}

/** The results of the lines that have one, and the users to send again. */
function sortOut(users: User[], sent: Sent): [LineResult[], User[]] {
  if ('why' in sent) return [[], users]
  if ('refused' in sent) {
    const reasonOf = (at: number) =>
      sent.refused
        .filter(({ field }) => field === `users.${at}` || field.startsWith(`users.${at}.`))
        .map(({ field, message }) => [field.split('.').slice(2).join('.'), message].join(' ').trim())
        .join('; ')
    const refused = users.flatMap(({ line }, at) => {
      const reason = reasonOf(at)
      return reason === '' ? [] : [{ line, status: 'refused' as const, reason }]
    })
    // Nothing but users can be refused in turn.
    if (refused.length === 0)
      throw new Error(sent.refused.map(({ field, message }) => `${field} ${message}`).join('; '))
    return [refused, users.filter(({ line }) => !refused.some((each) => each.line === line))]
  }
  const known: LineResult[] = []
  const again: User[] = []
  users.forEach((user, at) => {
    const result = sent.results[at]
    if (!result || result.status === 'unavailable') again.push(user)
    else {
      const { status, id, replayed, reason } = result
      known.push({ line: user.line, status, id, replayed, reason: reason && importRefusalTexts[reason] })
    }
  })
  return [known, again]
}
