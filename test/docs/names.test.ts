import { existsSync, globSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { expect, test } from 'vitest'
import { functions } from '../../functions/deploy/functions.ts'
import { regionOf, secretNames, settingsOf } from '../../functions/deploy/settings.ts'
import { FILLS, filled } from './fills.ts'
import {
  anchorsOf,
  blocksOf,
  holdsSettings,
  linksOf,
  scriptsIn,
  secretsIn,
  settingsIn,
  spansOf,
} from './page.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const DEPLOY = 'functions/deploy/README.md'
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8')
const IGNORED = read('.gitignore').split('\n')
const FILES = globSync('{*,.github/**,core/**,functions/**,test/**}', { cwd: ROOT, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map(({ parentPath, name }) => relative(ROOT, join(parentPath, name)).replaceAll('\\', '/'))
const PAGES = FILES.filter((file) => file.endsWith('.md'))
const { scripts } = JSON.parse(read('package.json'))

test.each(PAGES)('%s: each link to a file or a heading of the repository leads somewhere', (file) => {
  const lost = linksOf(read(file), file).filter(({ file: target, heading }) => {
    if (!existsSync(join(ROOT, target))) return true
    return target.endsWith('.md') && heading !== undefined && !anchorsOf(read(target)).includes(heading)
  })
  expect(lost).toEqual([])
})

test.each(PAGES)('%s: each script of npm that it names is one of package.json', (file) => {
  const texts = [...spansOf(read(file)), ...blocksOf(read(file))]
  const named = texts.flatMap(({ line, text }) => scriptsIn(text).map((script) => ({ line, script })))
  expect(named.filter(({ script }) => !(script in scripts))).toEqual([])
})

/** A path with a folder, or the name of a file; no URL, route, package or pattern. */
const PATH = /^(?![/@])[\w.-]+(?:\/[\w.-]+)*(?:\/|\.(?:ts|tsx|mjs|md|json|css|sh))$/

/** The files that a reader makes who follows a page's example. */
const OF_READERS = [
  'functions/v1/greeting.ts',
  'test/v1/greeting.test.ts',
  'functions/jobs/say-hello.ts',
  'test/jobs/say-hello.test.ts',
  'core/adapters/operator.ts',
  'try.mjs',
]

test.each(PAGES)('%s: each file and folder that it names exists', (file) => {
  // A page may leave out the folder that its sentence is about.
  const isThere = (path: string) => FILES.some((each) => `/${each}`.includes(path.replace(/^(\.\.\/)*/, '/')))
  const isKnown = (path: string) => isThere(path) || OF_READERS.includes(path) || IGNORED.includes(path)
  const paths = spansOf(read(file)).filter(({ text }) => PATH.test(text))
  expect(paths.filter(({ text }) => !isKnown(text))).toEqual([])
})

const settings = blocksOf(read(DEPLOY)).filter(holdsSettings).flatMap(settingsIn)

/** The names that the deployment reads, when all that the page names is set. */
function namesRead(): Set<string> {
  const names = new Set<string>()
  const set = settings.filter(({ value }) => value !== 'off')
  const values = set.map(({ name, value }) => [name, filled({ text: value }, FILLS)] as const)
  const environment = new Proxy(Object.fromEntries(values), {
    get(all, name) {
      names.add(String(name))
      return all[String(name)]
    },
    // The search for values of the local stack reads whatever is set.
    ownKeys: () => [],
  })
  settingsOf('production', environment)
  regionOf(environment)
  return names
}

test('the deployment’s page names exactly the settings that the deployment reads', () => {
  expect(settings.map(({ name }) => name).sort()).toEqual([...namesRead()].sort())
})

test('the settings that the page does not comment out are enough for a deployment', () => {
  const chosen = settings.filter(({ isOptional }) => !isOptional)
  const values = chosen.map(({ name, value }) => [name, filled({ text: value }, FILLS)] as const)
  expect(settingsOf('production', Object.fromEntries(values)).production).toBe(true)
})

test('each secret that a page sets is one that the deployment reads, and its page sets all of them', () => {
  const setIn = (file: string) =>
    [...spansOf(read(file)), ...blocksOf(read(file))].flatMap(({ text }) => secretsIn(text))
  for (const file of PAGES)
    expect(setIn(file).filter((name) => !(secretNames as string[]).includes(name))).toEqual([])
  expect([...new Set(setIn(DEPLOY))].sort()).toEqual([...secretNames].sort())
})

/** The commands of SST that a text has, each up to where the shell's next one begins. */
const sstIn = (text: string): string[] =>
  [...text.matchAll(/\b(?:sst --|run deploy --) [^\n&|;#`]+/g)].map(([command]) => command.trim())

test.each(PAGES)('%s: each command of SST names its stage, and no secret is an argument', (file) => {
  const commands = [...spansOf(read(file)), ...blocksOf(read(file))].flatMap(({ text }) => sstIn(text))
  expect(commands.filter((command) => !/ --stage [\w<>-]+(?: < [\w-]+\.txt)?$/.test(command))).toEqual([])
  const setting = commands.filter((command) => command.includes('secret set'))
  expect(setting.filter((command) => !/secret set \w+ --stage/.test(command))).toEqual([])
})

test('the deployment’s page says how much concurrency a stage reserves', () => {
  const reserved = functions.reduce((all, each) => all + (each.reserved ?? 0), 0)
  const [, said, events, renewals] =
    /reserves (\d+): (\d+) for Stripe's events, (\d+) for renewals and one for each job/.exec(read(DEPLOY)) ??
    []
  const reservedBy = (name: string) => String(functions.find((each) => each.name === name)?.reserved)
  expect([said, events, renewals]).toEqual([
    String(reserved),
    reservedBy('webhooks-stripe'),
    reservedBy('jobs-renew'),
  ])
  const jobs = functions.filter(({ kind }) => kind === 'job')
  expect(jobs.filter((job) => job.reserved !== 1)).toEqual([])
})
