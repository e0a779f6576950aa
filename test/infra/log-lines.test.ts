import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import {
  ALARM_LINE,
  alarmsOf,
  countedLines,
  FAILED_LINE,
  LATE_LINE,
  LEFT_LINE,
  OVERDUE_LINE,
} from '../../functions/deploy/alarms.ts'
import { DECLINE_LINE } from '../../functions/deploy/attack.ts'
import { functions } from '../../functions/deploy/functions.ts'
import { queriesOf } from '../../functions/deploy/queries.ts'
import { type Level, print } from '../../functions/http/log.ts'
import { commands } from '../../functions/ops/command/commands.ts'

/**
 * The deployment counts log lines by pattern and asks for their members. These tests compare patterns and queries with
 * lines as Lambda writes them.
 */

/** A line as Lambda's runtime client for Node (version 4) writes it in the JSON format: an object becomes `message`. */
const lambdaLine = (level: string, message: unknown) =>
  JSON.stringify({ timestamp: '2026-11-21T12:00:00.000Z', level, requestId: '8f5e', message })

type Line = { level: Level; [member: string]: unknown }

/** The lines that `print` leaves on Lambda, whose runtime replaces the methods of the console. */
function onLambda(...lines: Line[]): string[] {
  const written: string[] = []
  const methods = ['info', 'warn', 'error', 'fatal'] as const
  const before = { ...console }
  for (const method of methods)
    Object.assign(console, {
      [method]: (line: unknown) => written.push(lambdaLine(method.toUpperCase(), line)),
    })
  for (const line of lines) print(line)
  Object.assign(console, before)
  Reflect.deleteProperty(console, 'fatal')
  return written
}

const memberOf = (line: string, path: string): unknown =>
  path.split('.').reduce((value, name) => (value as Record<string, unknown>)?.[name], JSON.parse(line))

/** Whether a filter of CloudWatch Logs counts a line: a comparison of one member, or a regular expression. */
function counts(filter: string, line: string): boolean {
  const [, text] = /^%(.*)%$/.exec(filter) ?? []
  if (text !== undefined) return new RegExp(text).test(line)
  const [, path = '', operator, value = ''] = /^\{ \$\.([\w.]+) (=|>) (\S+) \}$/.exec(filter) ?? []
  const member = memberOf(line, path)
  return operator === '=' ? member === JSON.parse(value) : Number(member) > Number(value)
}

test('on Lambda a line is an object under `message`, at the level that Lambda has for it', () => {
  const lines = onLambda(
    { level: 'info', status: 200 },
    { level: 'warn', what: 'a' },
    { level: 'error', what: 'b' },
    { level: 'alarm', alarm: 'c' },
    { level: 'fatal', message: 'd' },
  )
  expect(lines.map((line) => [memberOf(line, 'level'), memberOf(line, 'message.level')])).toEqual([
    ['INFO', 'info'],
    ['WARN', 'warn'],
    ['ERROR', 'error'],
    ['ERROR', 'alarm'],
    ['FATAL', 'fatal'],
  ])
  expect(memberOf(lines[0] ?? '', 'message.status')).toBe(200)
})

test('elsewhere a line is JSON on one line', () => {
  const said = vi.spyOn(console, 'log').mockImplementation(() => {})
  print({ level: 'alarm', alarm: 'a' })
  expect(said.mock.calls).toEqual([['{"level":"alarm","alarm":"a"}']])
  said.mockRestore()
})

const run = { level: 'info', job: 'send-mail', ms: 12, sent: 12, oldestSeconds: 12, leftOut: 3 } as const
const request = { level: 'info', route: 'v1/login', status: 402, ms: 3 } as const

test.each<[string, string, Line[], Line[]]>([
  [
    'a line of level alarm',
    ALARM_LINE,
    [{ level: 'alarm', job: 'sweep', alarm: 'a' }],
    [{ ...run, alarms: ['alarm'] }],
  ],
  [
    'a run that left something undone',
    FAILED_LINE,
    [
      { ...run, failed: 1 },
      { ...run, failed: 20 },
      { ...run, eventsFailed: 3, holdsEnded: 0 },
      { ...run, refunds: { done: 0, failed: 1 } },
    ],
    [{ ...run, failed: 0, renewed: 5, eventsFailed: 0 }],
  ],
  ['a run that found overdue mail', OVERDUE_LINE, [{ ...run, overdue: 12 }], [run, { ...run, overdue: 0 }]],
  ['a run that found late mail', LATE_LINE, [{ ...run, late: 1 }], [run, { ...run, late: 0 }]],
  ['a run that left mails', LEFT_LINE, [{ ...run, left: 40 }], [run, { ...run, left: 0 }]],
  [
    'a declined card',
    DECLINE_LINE,
    [{ ...request, error: 'card_declined' }],
    [request, { ...request, error: 'quota_exhausted' }],
  ],
])('%s is counted, and no other line is', (_, filter, counted, others) => {
  for (const line of onLambda(...counted)) expect(counts(filter, line), line).toBe(true)
  for (const line of onLambda(...others)) expect(counts(filter, line), line).toBe(false)
})

/** How lines of level alarm begin: about payments and Stripe's events, or, of one job, about endpoints for events. */
const BEGINNINGS = /^(?:payment|event) \$|^event endpoint \$/

test('what a line of level alarm is about is what its alarm’s text says', () => {
  const core = join(import.meta.dirname, '..', '..', 'core')
  const begun = readdirSync(core, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) =>
      [...readFileSync(join(core, file), 'utf8').matchAll(/\balarm\(\s*[`'"](.{0,20})/g)].map(
        ([, text = '']) => ({ file, text }),
      ),
    )
  expect(begun).toHaveLength(4)
  for (const { file, text } of begun) {
    expect(text, file).toMatch(BEGINNINGS)
    expect(text.startsWith('event endpoint'), file).toBe(file === join('events', 'deliveries.ts'))
  }
  const ofEndpoints = countedLines.filter(({ metric }) => metric === 'EndpointsDisabled')
  expect(ofEndpoints.map(({ log }) => log)).toEqual([{ function: 'jobs-deliver-events' }])
})

test('the commands in the text of an alarm are commands of operators', () => {
  const named = alarmsOf('bursar-production', 'eu-west-1').flatMap(({ sentence }) =>
    [...sentence.matchAll(/npm run ops -- ([a-z]+ [a-z]+)( <id> --stage <stage>)?/g)].map(
      ([, words = '', stage]) => (stage === undefined ? `${words}, of the local stack` : words),
    ),
  )
  expect(named).toContain('endpoint enable')
  for (const words of named) expect(Object.keys(commands)).toContain(words)
})

/** The members of all our lines, and those of the gateway's. */
const MEMBERS =
  /^(?:level|requestId|route|status|ms|accountId|source|error|cause|what|job|alarm|failed|eventsFailed|left|oldestSeconds|template)$/
const OF_THE_GATEWAY = /^(?:requestId|at|routeKey|status|ms|error|functionStatus|functionMs)$/

test('a saved query asks for members that lines have', () => {
  for (const { name, logs, query } of queriesOf('bursar-production')) {
    const asked = [...query.matchAll(/\bmessage\.(\w+)/g)].map(([, member = '']) => member)
    for (const member of asked) expect(member, name).toMatch(MEMBERS)
    if (logs !== 'access') expect(asked, name).not.toEqual([])
    else
      for (const [, member] of query.matchAll(/(?:filter|by|pct\(|max\() ?(\w+)/g))
        expect(member, name).toMatch(OF_THE_GATEWAY)
  }
})

test('a saved query searches logs that exist, as many as CloudWatch takes', () => {
  const names = functions.map(({ name }) => name)
  for (const { name, logs } of queriesOf('bursar-production')) {
    if (typeof logs === 'string') continue
    expect(logs.length, name).toBeGreaterThan(0)
    expect(logs.length, name).toBeLessThanOrEqual(50)
    expect(new Set(logs).size, name).toBe(logs.length)
    for (const log of logs) expect(names, name).toContain(log)
  }
})
