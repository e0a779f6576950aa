/** Runs before each test file of `npm run mutate`: activates the mutant, or notes which test reaches which mutants. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, inject } from 'vitest'
import { HANDLERS } from './folders.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The mutant that is active while the tests run, and how often it may be reached. */
    mutant: { id?: string; hitLimit?: number }
  }
  interface TaskMeta {
    /** By test, the mutants that it reached and how often. */
    reached?: Record<string, Record<string, number>>
    /** Mutants that were reached while a module was loaded. */
    loaded?: Record<string, number>
    hits?: number
  }
}

interface Instrumented {
  activeMutant?: string | undefined
  hitLimit?: number | undefined
  hitCount?: number | undefined
  currentTestId?: string | undefined
  mutantCoverage?:
    | { static: Record<string, number>; perTest: Record<string, Record<string, number>> }
    | undefined
}

/** What Stryker's instrumented code reads and writes. */
const shared = globalThis as { __stryker__?: Instrumented }
shared.__stryker__ ??= {}
const { __stryker__: stryker } = shared
const { id, hitLimit } = inject('mutant')
const ROOT = join(import.meta.dirname, '..', '..')

stryker.activeMutant = undefined
// The instrumented code keeps this object, so it is emptied and not replaced.
stryker.mutantCoverage ??= { static: {}, perTest: {} }
const coverage = stryker.mutantCoverage
const empty = (counts: Record<string, unknown>) => {
  for (const key of Object.keys(counts)) delete counts[key]
}
empty(coverage.perTest)

// What a module does while it is loaded belongs to no test.
const folder = process.env.MUTATED_FOLDER ?? ''
for (const file of readdirSync(join(ROOT, folder))) {
  if (!file.endsWith('.ts') || HANDLERS.includes(`${folder}/${file}`)) continue
  await import(/* @vite-ignore */ join(ROOT, folder, file))
}
const loaded = { ...coverage.static }
empty(coverage.static)

let hasFailed = false

/** Stands for the hooks that run once for a file; what they reach, each test of the file depends on. */
const HOOKS = 'hooks'

beforeAll(() => {
  stryker.hitCount = id === undefined ? undefined : 0
  stryker.hitLimit = hitLimit
  stryker.activeMutant = id
  stryker.currentTestId = HOOKS
})

beforeEach(({ task, skip }) => {
  if (hasFailed) skip()
  stryker.currentTestId = task.id
})

afterEach(({ task }) => {
  hasFailed ||= id !== undefined && task.result?.state === 'fail'
  stryker.currentTestId = HOOKS
})

// biome-ignore lint/correctness/noEmptyPattern: Vitest wants a pattern there
afterAll(({}, suite) => {
  stryker.activeMutant = undefined
  stryker.currentTestId = undefined
  if (id === undefined) Object.assign(suite.meta, { loaded, reached: coverage.perTest })
  else Object.assign(suite.meta, { hits: stryker.hitCount })
  stryker.hitCount = undefined
})
