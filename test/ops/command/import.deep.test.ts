import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { CallRefused } from '../../../functions/ops/command/client.ts'
import type { Terminal } from '../../../functions/ops/command/command.ts'
import { importFile, resultsFileOf } from '../../../functions/ops/command/import.ts'
import { LINE_BYTES } from '../../../functions/ops/command/import-run.ts'
import { REGION } from '../../local/event.ts'
import { cheapHash } from '../../machine/import-flows.ts'
import { startApp } from '../../support/app.ts'
import { operators } from '../../support/operators.ts'
import { newPerson } from '../../support/people.ts'

const app = await startApp()
const folder = mkdtempSync(join(tmpdir(), 'bursar-import-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface User {
  email: string
  username: string
}

const newUser = (more: object = {}) => {
  const { email, username, password } = newPerson()
  return { email, username, units: 5, passwordHash: cheapHash(password), ...more }
}

/** Writes a file of users; a text is a line as it is. */
function fileOf(name: string, lines: readonly (object | string)[]): string {
  const file = join(folder, name)
  const texts = lines.map((line) => (typeof line === 'string' ? line : JSON.stringify(line)))
  writeFileSync(file, `${texts.join('\n')}\n`)
  return file
}

const resultsOf = (file: string): { line: number; status: string; id?: string; replayed?: true }[] =>
  readFileSync(resultsFileOf(file), 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line)]
      } catch {
        return []
      }
    })

/** A deployment that keeps users by address, after it has said what `before` wants. */
function deployment(before: (users: User[], call: number) => void = () => {}) {
  const made = new Map<string, string>()
  const sizes: number[] = []
  const waits: number[] = []
  const printed: string[] = []
  const terminal = {
    call: async (_: unknown, { users }: { users: User[] }) => {
      sizes.push(users.length)
      before(users, sizes.length)
      return {
        results: users.map(({ email, username }) => {
          const replayed = made.has(email)
          made.set(email, username)
          return { status: 'imported', id: username, ...(replayed && { replayed }) }
        }),
      }
    },
    print: (line: string) => void printed.push(line),
    progress: () => {},
    json: false,
  } as unknown as Terminal
  const run = (file: string, more: object = {}) =>
    importFile(terminal, { file, ...more }, async (ms) => void waits.push(ms))
  return { made, sizes, waits, printed, run }
}

/** What the deployment refuses, or that no answer comes. */
const refusal = (status?: number, headers: Record<string, string> = {}, body: object = {}) =>
  new CallRefused('no', status === undefined ? undefined : new Response(null, { status, headers }), body)

describe('the command', () => {
  test('imports a file in requests of 25 users at most, and keeps the result of each line beside it', async () => {
    const users = Array.from({ length: 60 }, () => newUser())
    const file = fileOf('sixty.jsonl', users)
    const { sizes, made, run } = deployment()
    expect(await run(file)).toBe(
      `60 imported, 0 imported before, 0 refused. The result of each line is in ${resultsFileOf(file)}.`,
    )
    expect(sizes.sort((a, b) => b - a)).toEqual([25, 25, 10])
    expect(made.size).toBe(60)
    const results = resultsOf(file).sort((a, b) => a.line - b.line)
    expect(results).toEqual(
      users.map(({ username }, at) => ({ line: at + 1, status: 'imported', id: username })),
    )
    expect(await run(file)).toMatch(/^0 imported, 60 imported before, 0 refused/)
  })

  test('lists each line that is refused with its number and reason, and imports the others', async () => {
    const [good, bad, twice] = [newUser(), newUser(), newUser()]
    const file = fileOf('bad.jsonl', [
      good,
      'no json',
      '[1]',
      '',
      bad,
      `"${'x'.repeat(LINE_BYTES)}"`,
      twice,
      twice,
    ])
    const fields = { errors: [{ field: 'users.1.units', message: 'must be at least 0' }] }
    const { printed, made, run } = deployment((users) => {
      if (users[1]?.email === bad.email) throw refusal(400, {}, fields)
    })
    expect(await run(file, { dryRun: true })).toMatch(/2 were imported before|0 can be imported/)
    // What the command sees itself comes before what the deployment answers.
    expect(printed.toSorted()).toEqual([
      'line 2: is no JSON',
      'line 3: is no JSON object',
      'line 5: units must be at least 0',
      `line 6: is longer than ${LINE_BYTES} bytes`,
      'line 8: has the e-mail address of line 7',
    ])
    expect([...made.keys()]).toEqual([good.email, twice.email])
  })

  test('waits for a deployment that is busy or away, as long as it asks for, and goes on', async () => {
    const file = fileOf('busy.jsonl', [newUser()])
    const answers = [refusal(429, { 'retry-after': '7' }), refusal(503, { 'retry-after': '2' }), refusal()]
    const { waits, made, run } = deployment((_, call) => {
      const answer = answers[call - 1]
      if (answer) throw answer
    })
    expect(await run(file)).toMatch(/^1 imported/)
    expect([waits, made.size]).toEqual([[7000, 2000, 4000], 1])
  })

  test('stops with a sentence once the deployment has not answered for long', async () => {
    const { run } = deployment(() => {
      throw refusal(503)
    })
    await expect(run(fileOf('away.jsonl', [newUser()]))).rejects.toThrow('Repeat the command later')
  })

  test('stops at once if the deployment refuses the operator', async () => {
    const { run, waits } = deployment(() => {
      throw refusal(403)
    })
    await expect(run(fileOf('refused.jsonl', [newUser()]))).rejects.toBeInstanceOf(CallRefused)
    expect(waits).toEqual([])
  })
})

/** Passes requests on to the gateway, and says how many were answered; it also knows the operators of this machine. */
async function startProxy(onRequest: (count: number) => boolean) {
  const { hostname, port } = new URL(app.url)
  let count = 0
  const server = createServer((incoming, answer) => {
    if (incoming.url === '/_local/operators') {
      const all = Object.entries(operators).map(([role, one]) => [
        role,
        { ...one, region: REGION, nowMs: Date.now() },
      ])
      return void answer.end(JSON.stringify(Object.fromEntries(all)))
    }
    const passes = onRequest(++count)
    const { method, url: path, headers } = incoming
    const outgoing = request({ hostname, port, method, path, headers }, (received) => {
      // The work is done, but nobody hears of it.
      if (!passes) return void incoming.destroy()
      answer.writeHead(received.statusCode ?? 0, received.headers)
      received.pipe(answer)
    })
    outgoing.on('error', () => incoming.destroy())
    incoming.pipe(outgoing)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server }
}

test('after kill -9 the repeated command imports what is missing, and nothing twice', async () => {
  const users = Array.from({ length: 120 }, () => newUser())
  const file = fileOf('killed.jsonl', users)
  const main = join(import.meta.dirname, '../../../functions/ops/command/main.ts')
  let kill = () => {}
  // Four requests are on their way at once: the first is answered, and the others lose their answers.
  const { url, server } = await startProxy((count) => {
    if (count === 3) kill()
    return count === 1 || count > 3
  })
  const run = () => spawn(process.execPath, [main, 'import', file, '--yes', '--url', url], { stdio: 'pipe' })
  const first = run()
  kill = () => void first.kill('SIGKILL')
  const [, signal] = await once(first, 'exit')
  expect(signal).toBe('SIGKILL')
  const second = run()
  let said = ''
  second.stdout.on('data', (data) => {
    said += data
  })
  second.stderr.resume()
  expect(await once(second, 'exit')).toEqual([0, null])
  server.close()
  server.closeAllConnections()
  const [, now, before] = /^(\d+) imported, (\d+) imported before, 0 refused/m.exec(said) ?? []
  expect(Number(now) + Number(before)).toBe(120)
  expect(Number(before)).toBeGreaterThanOrEqual(25)
  const ids = new Map<number, Set<string | undefined>>()
  for (const { line, id } of resultsOf(file)) ids.set(line, (ids.get(line) ?? new Set()).add(id))
  expect([...ids.values()].map(({ size }) => size)).toEqual(users.map(() => 1))
  expect(new Set(resultsOf(file).map(({ id }) => id)).size).toBe(120)
})
