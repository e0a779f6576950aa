/** `npm run generate` writes files and sections from the code. Tests check that they are up to date. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { toJSONSchema } from 'zod/v4/core'
import { eventCatalogue } from '../../core/events/catalogue.ts'
import { eventTypes } from '../../core/webhooks/event-types.ts'
import type { Alarm, Metric } from '../../functions/deploy/alarm.ts'
import { alarmsOf } from '../../functions/deploy/alarms.ts'
import { endpointsFile } from '../../functions/deploy/client-types.ts'
import { openapi, operatorsOpenapi } from '../../functions/http/openapi.ts'
import { exampleKey, fits, hasExample, readExamples } from '../../functions/http/openapi-examples.ts'
import { adminKeyRows, customerRows, operatorRows, rows } from '../../functions/http/rows.ts'
import { CALLS_FILE, callsFile } from '../bundles/calls.ts'
import { powerShellWalkThrough, shellWalkThrough } from '../local/walk-through.ts'

const ROOT = join(import.meta.dirname, '..', '..')

function endpointTable(): string {
  const lines = customerRows.map((row) => {
    const keys = row.routes.map((key) => `\`${key}\``).join('<br>')
    return `| ${keys} | ${row.auth === 'public' ? '' : row.auth} | ${row.summary} |`
  })
  return ['| endpoint | needs | what it does |', '| --- | --- | --- |', ...lines].join('\n')
}

function operatorTable(): string {
  const lines = [...operatorRows, ...adminKeyRows].map(({ routes, role, summary }) => {
    const keys = routes.map((key) => `\`${key}\``).join('<br>')
    return `| ${keys} | ${role} | ${summary} |`
  })
  return ['| endpoint | role | what it does |', '| --- | --- | --- |', ...lines].join('\n')
}

/** The events that a webhook endpoint at Stripe subscribes to, one line for each kind of object. */
const stripeEvents = (): string =>
  ['```', ...Object.values(eventTypes).map((types) => types.join('  ')), '```'].join('\n')

/** The permissions of a restricted key of Stripe, from the calls of the adapter. */
function stripePermissions(): string {
  const source = readFileSync(join(ROOT, 'core/adapters/stripe.ts'), 'utf8')
  const uses = new Map<string, 'read' | 'write'>()
  for (const [, of = '', call = ''] of source.matchAll(/\bstripe\.((?:\w+\.)+)(\w+)\(/g)) {
    const name = of
      .slice(0, -1)
      .replaceAll('.', ': ')
      .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    // It checks a signature and asks Stripe for nothing.
    if (name === 'webhooks') continue
    const isRead = /^(?:retrieve|list)/.test(call)
    uses.set(name, isRead ? (uses.get(name) ?? 'read') : 'write')
  }
  const list = (use: 'read' | 'write') =>
    [...uses]
      .flatMap(([name, used]) => (used === use ? [name] : []))
      .sort()
      .join(', ')
  return `*write* on ${list('write')}, and *read* on ${list('read')}.`
}

const eventTable = (): string =>
  [
    '| type | when | data, for example |',
    '| --- | --- | --- |',
    ...Object.entries(eventCatalogue).map(
      ([type, { summary, example }]) => `| \`${type}\` | ${summary} | \`${JSON.stringify(example)}\` |`,
    ),
  ].join('\n')

/** A JSON Schema of each type of event, as other systems receive it. */
function eventSchemas(): object {
  const types = Object.entries(eventCatalogue).map(([type, { version, summary, data, example }]) => {
    const { $schema: _, ...schema } = toJSONSchema(
      z.object({
        id: z.uuid(),
        type: z.literal(type),
        version: z.literal(version),
        sequence: z.int().check(z.positive()),
        accountId: z.string().check(z.regex(/^[0-9a-f]{24}$/)),
        atMs: z.int(),
        data,
      }),
      // A reader ignores members that a later deployment adds.
      { io: 'input' },
    )
    return [type, { title: type, description: summary, ...schema, examples: [{ data: example }] }]
  })
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', $defs: Object.fromEntries(types) }
}

type AlarmGroup = 'requests' | 'data' | 'work' | 'mail' | 'functions'

const alarmGroup = ({ metric: { of } }: Alarm): AlarmGroup => {
  if (typeof of === 'object') return 'functions'
  const groups = {
    api: 'requests',
    userPool: 'requests',
    table: 'data',
    deadLetters: 'data',
    logLines: 'work',
  } as const
  return of === 'mail' ? 'mail' : groups[of]
}

/** What each alarm means, for the console, which is no place for the data of the deployment. */
function alarmTexts(): Partial<Record<AlarmGroup, { name: string; sentence: string }[]>> {
  const texts: ReturnType<typeof alarmTexts> = {}
  for (const alarm of alarmsOf('bursar-<stage>', '<region>')) {
    const group = alarmGroup(alarm)
    texts[group] = [...(texts[group] ?? []), { name: alarm.name, sentence: alarm.sentence }]
  }
  return texts
}

/** What each alarm means, a line for each; those that several functions have are one line. */
function alarmTable(): string {
  const prefix = 'bursar-<stage>'
  const lines = new Map<string, string>()
  for (const { name, sentence, metric, ...when } of alarmsOf(prefix, '<region>')) {
    const [, kind] = /(Throttles|Errors|Absent)$/.exec(name) ?? []
    const isShared = typeof metric.of === 'object' && kind !== undefined
    const title = isShared ? `\`<Function>${kind}\`` : `\`${name}\``
    if (lines.has(title)) continue
    const text = isShared ? sentence.replaceAll(/\b(?:jobs|webhooks)-[a-z-]+/g, '<function>') : sentence
    lines.set(title, `| ${title} | ${condition(metric, when)} | ${text} |`)
  }
  return [
    '| alarm | goes off at | what it means, and where to look |',
    '| --- | --- | --- |',
    ...lines.values(),
  ].join('\n')
}

/** When an alarm goes off, in short. */
function condition(
  { statistic }: Metric,
  {
    threshold,
    absence,
    periodSeconds,
    periods,
  }: Pick<Alarm, 'threshold' | 'absence' | 'periodSeconds' | 'periods'>,
): string {
  const minutes = (periodSeconds * periods) / 60
  const time = minutes % 60 === 0 ? `${minutes / 60} h` : `${minutes} min`
  if (absence) return `fewer than ${threshold} in ${time} or more`
  const value = threshold < 1 ? `${threshold * 100} %` : `${threshold}`
  return statistic === 'p99' ? `p99 of ${value} ms for ${time}` : `${value} in ${time}`
}

/** Replaces the content between `<!-- name -->` and `<!-- /name -->`, indented like the markers. */
function withSections(file: string, sections: Record<string, string>): string {
  let text = readFileSync(join(ROOT, file), 'utf8')
  for (const [name, content] of Object.entries(sections)) {
    const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [before, after] = [text.indexOf(open), text.indexOf(close)]
    if (before < 0 || after < before) throw new Error(`${file} has no section ${name}`)
    const indent = text.slice(text.lastIndexOf('\n', before) + 1, before)
    const indented = content.replaceAll(/^(?=.)/gm, indent)
    text = `${text.slice(0, before + open.length)}\n${indented}\n${indent}${text.slice(after)}`
  }
  return text
}

/** The expected content of each generated file, by its path from the root. */
export function generated(): Record<string, string> {
  const url = 'http://127.0.0.1:3000'
  const block = (language: string, text: string) => `\`\`\`${language}\n${text}\n\`\`\``
  return {
    'functions/openapi.json': `${JSON.stringify(openapi(), null, 2)}\n`,
    'functions/ops/openapi.json': `${JSON.stringify(operatorsOpenapi(), null, 2)}\n`,
    'functions/ops/README.md': withSections('functions/ops/README.md', {
      endpoints: operatorTable(),
      events: eventTable(),
    }),
    'functions/ops/events.json': `${JSON.stringify(eventSchemas(), null, 2)}\n`,
    'functions/pages/console/alarms.json': `${JSON.stringify(alarmTexts(), null, 2)}\n`,
    'functions/client/endpoints.ts': endpointsFile(),
    'functions/README.md': withSections('functions/README.md', {
      endpoints: endpointTable(),
      'walk-through-powershell': block('powershell', powerShellWalkThrough(url)),
    }),
    'functions/deploy/README.md': withSections('functions/deploy/README.md', {
      'stripe-events': stripeEvents(),
      'stripe-permissions': stripePermissions(),
      alarms: alarmTable(),
    }),
    'README.md': withSections('README.md', { 'walk-through': block('sh', shellWalkThrough(url)) }),
  }
}

/** Makes the examples of rows that have none, or none that fits them any more: by sending their samples. */
function addExamples(): void {
  const examples = readExamples()
  const without = rows.filter((row) => hasExample(row) && !fits(row, examples[exampleKey(row)]))
  if (without.length === 0) return
  const keys = without.map(exampleKey)
  console.log(`asking for examples: ${keys.join(', ')}`)
  const vitest = ['vitest', 'run', '--config', 'test/vitest.config.ts']
  const file = 'test/conformance/openapi-examples.deep.test.ts'
  const words = ['test/run.mjs', 'DEEP=1', `EXAMPLES=${keys.join(',')}`, ...vitest, file]
  execFileSync(process.execPath, words, { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
}

// Not `import.meta.main`, which is false for a file that test/run.mjs starts.
if (process.argv[1] === import.meta.filename) {
  const write = (file: string, text: string) => {
    writeFileSync(join(ROOT, file), text)
    console.log(`wrote ${file}`)
  }
  // Samples are sent with the permissions of their functions.
  write(CALLS_FILE, await callsFile())
  addExamples()
  for (const [file, text] of Object.entries(generated())) write(file, text)
}
