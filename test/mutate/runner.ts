/**
 * Runs the tests for Stryker, all in one process that is kept from mutant to mutant. A kill counts only if the test
 * passes without the mutant in the same process right after; else a fresh process decides.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, matchesGlob, relative } from 'node:path'
import type { Logger } from '@stryker-mutator/api/logging'
import {
  type DryRunResult,
  DryRunStatus,
  type MutantRunOptions,
  type MutantRunResult,
  MutantRunStatus,
  type TestRunner,
  TestStatus,
} from '@stryker-mutator/api/test-runner'
import { createVitest, type TestModule, type Vitest } from 'vitest/node'
import { progressOn } from '../support/progress.ts'
import { TESTS } from './folders.ts'
import { endKeptProcess, keepingPool } from './keeping-pool.ts'
import { digestOf, fileOf, isDrawn, keyOf, type Mutant } from './mutants.ts'
import { type Settings, settingsOf } from './settings.ts'

/** What a test file reaches. Mutants are Stryker's numbers. */
interface Reach {
  /** Of the test's text and of the folder's sources. */
  digest: string
  loaded: Record<string, number>
  tests: { id: string; ms: number; mutants: number[] }[]
  hits: Record<string, number>
}

/** How long the tests of one mutant may take before it counts as survived, ms. */
const BUDGET_MS = 600_000
/** A run of a few tests that takes longer hangs, ms. */
const HANG_MS = 300_000

/** What came of a mutant, as kept from run to run. */
interface Verdict {
  key: string
  /** Of the source, and of the test that killed the mutant or else of all that did not. */
  digest: string
  result: MutantRunResult
}

interface Outcome {
  failed: string[]
  message: string
  ms: number
  hits: number
  hasHung: boolean
}

class KeepingRunner implements TestRunner {
  readonly #settings: Settings
  readonly #root = process.cwd()
  readonly #reach = new Map<string, Reach>()
  /** How many mutants of a source file each test file has killed: those that killed most are asked first. */
  readonly #kills = new Map<string, Map<string, number>>()
  readonly #verdicts = new Map<string, Verdict>()
  readonly #verdictsFile: string
  readonly #reachFile: string
  #vitest: Vitest | undefined

  readonly #log: Logger

  constructor(options: unknown, log: Logger) {
    this.#log = log
    this.#settings = settingsOf(options)
    this.#reachFile = join(this.#settings.memory, `${this.#settings.folder.replace('/', '-')}.json`)
    this.#verdictsFile = join(this.#settings.memory, 'verdicts.jsonl')
  }

  capabilities = () => ({ reloadEnvironment: true })

  async init(): Promise<void> {
    process.env.NODE_ENV = 'test'
    process.env.VITEST = 'true'
    process.env.MUTATED_FOLDER = this.#settings.folder
    this.#vitest = await createVitest('test', {
      config: 'test/mutate/vitest.config.ts',
      pool: keepingPool as never,
      watch: false,
    })
    if (!existsSync(this.#verdictsFile)) return
    for (const line of readFileSync(this.#verdictsFile, 'utf8').trim().split('\n')) {
      const verdict: Verdict = JSON.parse(line)
      this.#verdicts.set(verdict.key, verdict)
    }
  }

  async dispose(): Promise<void> {
    await endKeptProcess()
    await this.#vitest?.close()
  }

  async dryRun(): Promise<DryRunResult> {
    const show = progressOn({ write: (text) => this.#log.info(text.trim()) })
    const cacheFile = this.#reachFile
    const known: Record<string, Reach> = existsSync(cacheFile)
      ? JSON.parse(readFileSync(cacheFile, 'utf8'))
      : {}
    const sources = this.#digestOfFolder()
    const asked = TESTS[this.#settings.folder] ?? []
    const files = (await this.#vitest!.globTestSpecifications())
      .map(({ moduleId }) => moduleId)
      .filter((file) => asked.some((pattern) => matchesGlob(relative(this.#root, file), pattern)))
      .sort()
    const save = () =>
      writeFileSync(cacheFile, JSON.stringify({ ...known, ...Object.fromEntries(this.#reach) }))
    mkdirSync(this.#settings.memory, { recursive: true })
    for (const [index, file] of files.entries()) {
      const name = relative(this.#root, file)
      const digest = digestOf(sources, readFileSync(file, 'utf8'))
      let reach = known[name]
      if (reach?.digest !== digest) {
        show(`tests without a mutant: ${index} of ${files.length} files, ${name}`)
        const run = await this.#run(file, { id: undefined })
        if (run.outcome.failed.length > 0) {
          this.#log.warn(
            `${name} fails without a mutant, so what fails there is not asked: ${run.outcome.message}`,
          )
        }
        if (!run.module) continue
        reach = { digest: run.outcome.failed.length > 0 ? '' : digest, ...reachOf(run.module) }
      }
      this.#reach.set(name, reach)
      if (index % 5 === 4) save()
    }
    save()
    const perTest = Object.fromEntries([...this.#reach].map(([name, { hits }]) => [name, hits]))
    const tests = [...this.#reach].map(([name, reach]) => ({
      id: name,
      name,
      fileName: join(this.#root, name),
      timeSpentMs: reach.tests.reduce((sum, { ms }) => sum + ms, 0),
      status: TestStatus.Success as const,
    }))
    const loaded: Record<string, number> = Object.assign(
      {},
      ...[...this.#reach.values()].map((each) => each.loaded),
    )
    return { status: DryRunStatus.Complete, tests, mutantCoverage: { static: loaded, perTest } }
  }

  async mutantRun({ activeMutant, testFilter = [], hitLimit }: MutantRunOptions): Promise<MutantRunResult> {
    const { root, seed, share } = this.#settings
    // Stryker has no way to leave out one mutant. The reporter does not count it.
    if (!isDrawn(keyOf(root, activeMutant), seed, share))
      return { status: MutantRunStatus.Error, errorMessage: 'not drawn' }
    this.#recallReach()
    const number = Number(activeMutant.id)
    const kills = this.#kills.get(activeMutant.fileName) ?? new Map<string, number>()
    this.#kills.set(activeMutant.fileName, kills)
    const plan = testFilter
      .map((name) => {
        const tests = (this.#reach.get(name)?.tests ?? []).filter(({ mutants }) => mutants.includes(number))
        return { name, ids: tests.map(({ id }) => id), ms: tests.reduce((sum, { ms }) => sum + ms, 0) }
      })
      .filter(({ ids }) => ids.length > 0)
      .sort((a, b) => (kills.get(b.name) ?? 0) - (kills.get(a.name) ?? 0) || a.ms - b.ms)
    return this.#remembered(
      activeMutant,
      plan.map(({ name }) => name),
      () => this.#judge(plan, activeMutant.id, hitLimit, kills),
    )
  }

  /** After a crash Stryker starts another process, which has seen no dry run. */
  #recallReach(): void {
    if (this.#reach.size > 0) return
    const known: Record<string, Reach> = JSON.parse(readFileSync(this.#reachFile, 'utf8'))
    for (const [name, reach] of Object.entries(known)) this.#reach.set(name, reach)
  }

  /** The verdict of an earlier run, if neither the source nor the tests that decide have changed. */
  async #remembered(mutant: Mutant, files: string[], judge: () => Promise<MutantRunResult>) {
    const { root } = this.#settings
    const key = keyOf(root, mutant)
    const textOf = (name: string) => readFileSync(join(root, name), 'utf8')
    const digest = (result: MutantRunResult) => {
      const deciding = result.status === MutantRunStatus.Killed ? result.killedBy : [...files].sort()
      return digestOf(
        textOf(fileOf(root, mutant)),
        ...deciding.filter((name) => existsSync(join(root, name))).map(textOf),
      )
    }
    const known = this.#verdicts.get(key)
    if (known && known.digest === digest(known.result)) return known.result
    const result = await judge().catch(
      (error: unknown): MutantRunResult => ({ status: MutantRunStatus.Error, errorMessage: String(error) }),
    )
    if (result.status !== MutantRunStatus.Error)
      appendFileSync(this.#verdictsFile, `${JSON.stringify({ key, digest: digest(result), result })}\n`)
    return result
  }

  async #judge(
    plan: { name: string; ids: string[] }[],
    id: string,
    hitLimit: number | undefined,
    kills: Map<string, number>,
  ): Promise<MutantRunResult> {
    const startedMs = performance.now()
    let nrOfTests = 0
    for (const { name, ids } of plan) {
      if (performance.now() - startedMs > BUDGET_MS) break
      nrOfTests += ids.length
      const outcome = await this.#failure(name, ids, id, hitLimit)
      if (outcome === undefined) continue
      kills.set(name, (kills.get(name) ?? 0) + 1)
      if (outcome.hasHung || (hitLimit !== undefined && outcome.hits > hitLimit)) {
        return { status: MutantRunStatus.Timeout, reason: outcome.message }
      }
      return { status: MutantRunStatus.Killed, killedBy: [name], failureMessage: outcome.message, nrOfTests }
    }
    return { status: MutantRunStatus.Survived, nrOfTests }
  }

  /**
   * The failure that the mutant causes in these tests; undefined if it causes none.
   * @throws Error if the tests fail without the mutant too, as where the machine is too busy
   */
  async #failure(name: string, ids: string[], id: string, hitLimit: number | undefined) {
    const file = join(this.#root, name)
    const tryMutant = () => this.#run(file, { id, ...(hitLimit === undefined ? {} : { hitLimit }) }, ids)
    const tryWithout = ({ outcome }: { outcome: Outcome }) => this.#run(file, { id: '' }, outcome.failed)
    const first = await tryMutant()
    if (first.outcome.failed.length === 0) return undefined
    if (first.outcome.hasHung) await endKeptProcess()
    const control = await tryWithout(first)
    if (control.outcome.failed.length === 0) return first.outcome
    // The mutant, or one before it, has left something behind.
    await endKeptProcess()
    const again = await tryMutant()
    await endKeptProcess()
    if (again.outcome.failed.length === 0) return undefined
    const last = await tryWithout(again)
    if (last.outcome.failed.length === 0) return again.outcome
    throw new Error(`${name} fails without the mutant: ${last.outcome.message}`)
  }

  async #run(file: string, mutant: { id: string | undefined; hitLimit?: number }, testIds?: string[]) {
    const vitest = this.#vitest!
    vitest.provide('mutant', mutant as never)
    vitest.state.filesMap.clear()
    vitest.state.errorsSet.clear()
    const project = vitest.projects[0]!
    const ids = testIds?.filter((id) => id !== '')
    const specification = project.createSpecification(
      file,
      ids && ids.length > 0 ? { testIds: ids } : undefined,
    )
    const startedMs = performance.now()
    let hasHung = false
    const watchdog = setTimeout(() => {
      hasHung = true
      void endKeptProcess()
    }, HANG_MS)
    const errors: string[] = []
    let module: TestModule | undefined
    try {
      const result = await vitest.runTestSpecifications([specification])
      module = result.testModules[0]
      errors.push(...result.unhandledErrors.map((error) => String((error as Error).message ?? error)))
    } catch (error) {
      errors.push(String(error))
    } finally {
      clearTimeout(watchdog)
    }
    const failing = module ? [...module.children.allTests('failed')] : []
    const failures = failing.flatMap((test) => test.result().errors ?? [])
    errors.push(...failures.map(({ message }) => message))
    if (module && failing.length === 0) errors.push(...module.errors().map(({ message }) => message))
    const failed = failing.map(({ id }) => id)
    if (failed.length === 0 && (errors.length > 0 || !module)) failed.push('')
    const outcome: Outcome = {
      failed,
      message: (errors[0] ?? '').slice(0, 300),
      ms: performance.now() - startedMs,
      hits: module?.meta().hits ?? 0,
      hasHung: hasHung || errors.some((message) => /^(Test|Hook) timed out/.test(message)),
    }
    return { module, outcome }
  }

  /** Stryker numbers the mutants anew whenever a file of the folder changes. */
  #digestOfFolder(): string {
    const folder = join(this.#root, this.#settings.folder)
    return digestOf(
      ...readdirSync(folder).flatMap((file) => [file, readFileSync(join(folder, file), 'utf8')]),
    )
  }
}

function reachOf(module: TestModule): Omit<Reach, 'digest'> {
  const { loaded = {}, reached = {} } = module.meta()
  const { hooks: byHooks = {}, ...byTests } = reached
  const hits: Record<string, number> = { ...byHooks }
  for (const mutants of Object.values(byTests)) {
    for (const [mutant, times] of Object.entries(mutants)) hits[mutant] = (hits[mutant] ?? 0) + times
  }
  const tests = [...module.children.allTests()]
    .filter((test) => test.result().state === 'passed')
    .map((test) => ({
      id: test.id,
      ms: Math.ceil(test.diagnostic()?.duration ?? 0),
      mutants: Object.keys({ ...byHooks, ...byTests[test.id] }).map(Number),
    }))
  return { loaded, tests, hits }
}

const createRunner = (options: unknown, log: Logger) => new KeepingRunner(options, log)
createRunner.inject = ['options', 'logger'] as const

export const strykerPlugins = [{ kind: 'TestRunner', name: 'kept', factory: createRunner }]
