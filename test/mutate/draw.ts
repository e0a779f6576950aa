/** Tells Stryker which mutants to leave out: those that the seed has not drawn. */
import { type Checker, type CheckResult, CheckStatus } from '@stryker-mutator/api/check'
import { isDrawn, keyOf, type Mutant } from './mutants.ts'
import { settingsOf } from './settings.ts'

export const NOT_DRAWN = 'not drawn'

function createDraw(options: unknown): Checker {
  const { root, seed, share } = settingsOf(options)
  const check = (mutant: Mutant): CheckResult =>
    isDrawn(keyOf(root, mutant), seed, share)
      ? { status: CheckStatus.Passed }
      : { status: CheckStatus.CompileError, reason: NOT_DRAWN }
  return {
    init: async () => {},
    group: async (mutants) => [mutants.map(({ id }) => id)],
    check: async (mutants) => Object.fromEntries(mutants.map((mutant) => [mutant.id, check(mutant)])),
  }
}
createDraw.inject = ['options'] as const

export const strykerPlugins = [{ kind: 'Checker', name: 'draw', factory: createDraw }]
