import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { rows } from '../../functions/http/rows.ts'
import { jobs, subscribers, tasks } from '../../functions/jobs/schedule.ts'
import { ALONE } from '../vitest.config.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Everything that the top level may hold; dotfiles are exempt. */
const TOP = [
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'sst.config.ts',
  'README.md',
  'LICENSE',
  'functions',
  'core',
  'test',
]
const LINTER = ['biome.json']
/** Not part of the repository: `.gitignore` lists them. */
const IGNORED = ['node_modules', 'sst-env.d.ts', 'coverage']

const filesUnder = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file))
    .sort()
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')

test('the top level holds what the architecture allows and nothing else', () => {
  const entries = readdirSync(ROOT).filter((name) => !name.startsWith('.') && !IGNORED.includes(name))
  expect(entries.filter((name) => ![...TOP, ...LINTER].includes(name))).toEqual([])
  expect(TOP.filter((name) => !entries.includes(name))).toEqual([])
  expect(readdirSync(join(ROOT, '.ci'))).toContain('run')
})

test('functions/ and core/ hold the folders of the architecture and nothing else', () => {
  const folders = (of: string) =>
    readdirSync(join(ROOT, of), { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    )
  const known = {
    functions: ['api', 'v1', 'rest', 'webhooks', 'jobs', 'http', 'deploy', 'client', 'ops', 'admin', 'pages'],
    core: [
      'account',
      'coupons',
      'credentials',
      'keys',
      'cards',
      'plans',
      'purchases',
      'quota',
      'audit',
      'events',
      'operators',
      'ledger',
      'limits',
      'notifications',
      'webhooks',
      'table',
      'adapters',
      'audit',
      'events',
      'operators',
      'reports',
    ],
  }
  for (const [of, names] of Object.entries(known)) {
    expect(folders(of).filter((name) => !names.includes(name))).toEqual([])
  }
})

const handlers = [
  ...filesUnder('functions').filter((file) =>
    /^functions\/(api|v1|rest|webhooks|jobs|ops|admin)\/[\w-]+\.ts$/.test(file),
  ),
  ...rows.filter(({ dialect }) => dialect === 'http').map(({ file }) => `functions/http/${file}.ts`),
].filter((file) => !/\/(routes|descriptions|schedule)\.ts$/.test(file))

describe.each(handlers)('%s', (file) => {
  test('has at most 25 lines', () => {
    expect(read(file).trimEnd().split('\n').length).toBeLessThanOrEqual(25)
  })

  test('only maps the request, makes one domain call and maps the answer', () => {
    expect(read(file)).not.toMatch(
      /\btry\b|\bcatch\b|\bJSON\b|\bprocess\b|\bDate\b|\bperformance\b|\bsetTimeout\b|\bfetch\b|\bconsole\b|@aws-sdk|'stripe'|from 'node:/,
    )
  })
})

test('only functions/http/live.ts reads the environment, and the command of operators', () => {
  const readers = [...filesUnder('functions'), ...filesUnder('core')].filter((file) =>
    /(?<!['"`])\bprocess\s*(\?\.|\.|\[)\s*['"]?env\b|\{[^}]*\benv\b[^}]*\}\s*=\s*process\b|from 'node:process'|from 'sst'/.test(
      read(file),
    ),
  )
  expect(readers).toEqual(['functions/http/live.ts', 'functions/ops/command/main.ts'])
})

/**
 * Matches what belongs to HTTP or a dialect: a status, URN, field name, null, time as text, or amount in
 * dollars.
 */
const DIALECT =
  /\bstatus: \d|\burn:|\b_id\b|\bobject: '|\bhas_more\b|\bnull\b|\ballusage\b|toISOString\(\)(?!\.slice\(0, (?:7|16)\))|[cC]ents \/ 100(?!\)\.toFixed)/

test('core returns no values in the format of HTTP or of a dialect', () => {
  // An entry of the audit log keeps what was there before as JSON has it.
  const nouns = filesUnder('core').filter((file) => !/^core\/(adapters\/|table\/|audit\/entry)/.test(file))
  expect(nouns.filter((file) => DIALECT.test(read(file)))).toEqual([])
})

test('only keys.ts says how long an item is kept: no other file of core computes a ttl', () => {
  const files = filesUnder('core').filter((file) => !/^core\/table\/(keys|definition)\.ts$/.test(file))
  const own = files.filter((file) =>
    /\bttl: (?!z\.)|(?<![#.])\bttl = |Math\.ceil\([^)]*nowMs[^\n]*ttl/i.test(read(file)),
  )
  expect(own).toEqual([])
})

test('nothing outside test/ imports from it', () => {
  const naming = [...filesUnder('functions'), ...filesUnder('core')].filter((file) =>
    /from '[^']*\/test\//.test(read(file)),
  )
  expect(naming).toEqual([])
})

test('each job, subscriber and task has its file and its test, and each file its entry', () => {
  const names = Object.keys({ ...jobs, ...subscribers, ...tasks })
    .map((name) => name.replace(/[A-Z]+/g, (run) => `-${run.toLowerCase()}`))
    .sort()
  const namesIn = (folder: string, ending: string) =>
    readdirSync(join(ROOT, folder))
      .filter((file) => file.endsWith(ending) && file !== 'schedule.ts')
      .map((file) => file.slice(0, -ending.length).replace(/\.deep$/, ''))
      .sort()
  expect(namesIn('functions/jobs', '.ts')).toEqual(names)
  expect(namesIn('test/jobs', '.test.ts')).toEqual(names)
})

test('there are no barrels: no index.ts, no file of utilities', () => {
  const files = [...filesUnder('functions'), ...filesUnder('core'), ...filesUnder('test')]
  expect(files.filter((file) => /\/(index|utils?|helpers?|common|misc)\.ts$/.test(file))).toEqual([])
})

test('a test file that replaces modules or settings runs in its own process', () => {
  const replacing = filesUnder('test').filter(
    (file) =>
      file.endsWith('.test.ts') &&
      /\bvi\.(mock|doMock|hoisted|resetModules)\(|\bcoldStart\b|^\s*process\.env\.\w+ = /m.test(read(file)),
  )
  expect(replacing.filter((file) => file !== 'test/conformance/layout.test.ts')).toEqual([...ALONE].sort())
})
