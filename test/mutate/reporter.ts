/** Shows how far Stryker is, and keeps what came out for `main.ts`, which runs in the same process. */
import type { MutantResult } from '@stryker-mutator/api/core'
import type { MutationTestingPlanReadyEvent, Reporter } from '@stryker-mutator/api/report'
import { progressOn } from '../support/progress.ts'
import { fileOf, isDrawn, keyOf, type Mutant } from './mutants.ts'
import { settingsOf } from './settings.ts'

export interface Found {
  file: string
  mutant: Mutant
  status: 'killed' | 'timed out' | 'survived' | 'undecided'
  /** The survivor is in code that no test reaches. */
  isUnreached: boolean
  /** What failed without the mutant too, if that left it undecided. */
  reason?: string | undefined
}

/** What came out of the run, and how many mutants there are by folder and file. */
export const found: Found[] = []
export const allMutants: { file: string; isStatic: boolean }[] = []

const STATUS: Record<string, Found['status'] | undefined> = {
  Killed: 'killed',
  Timeout: 'timed out',
  // Its tests fail without the mutant too, so they say nothing.
  RuntimeError: 'undecided',
  Survived: 'survived',
  NoCoverage: 'survived',
}

function createReporter(options: unknown): Reporter {
  const { root, seed, share } = settingsOf(options)
  const show = progressOn()
  const mutants = new Map<string, Mutant>()
  let wanted = 0
  let done = 0
  let survived = 0
  let startedMs = 0

  function onMutationTestingPlanReady({ mutantPlans }: MutationTestingPlanReadyEvent): void {
    startedMs = performance.now()
    for (const { plan, mutant } of mutantPlans) {
      const file = fileOf(root, mutant as Mutant)
      const isStatic = plan === 'EarlyResult'
      if (isStatic && !mutant.static) continue
      allMutants.push({ file, isStatic })
      if (isStatic) continue
      if (!isDrawn(keyOf(root, mutant as Mutant), seed, share)) continue
      mutants.set(mutant.id, mutant as Mutant)
      wanted += 1
    }
  }

  function onMutantTested({ id, status: told, statusReason }: Readonly<MutantResult>): void {
    const mutant = mutants.get(id)
    const status = STATUS[told]
    if (!mutant || !status) return
    const file = fileOf(root, mutant)
    found.push({ file, mutant, status, isUnreached: told === 'NoCoverage', reason: statusReason })
    done += 1
    if (status === 'survived') survived += 1
    const leftMs = ((performance.now() - startedMs) / done) * (wanted - done)
    show(
      `${done} of ${wanted} mutants, ${file}: ${done - survived} killed, ${survived} survived, ` +
        `${Math.ceil(leftMs / 60_000)} min left`,
    )
  }
  return { onMutationTestingPlanReady, onMutantTested }
}
createReporter.inject = ['options'] as const

export const strykerPlugins = [{ kind: 'Reporter', name: 'found', factory: createReporter }]
