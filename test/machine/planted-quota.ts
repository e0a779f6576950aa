import { type Bug, plant } from './planted.ts'
import type { QuotaFunctions } from './quota-world.ts'

const MODULES = ['quota/consume.ts', 'quota/batch.ts', 'quota/apply-ledger.ts']

/** The functions of `core/quota` with a bug in them. */
export async function plantedQuota(bug: Bug): Promise<{ functions: QuotaFunctions; remove(): void }> {
  const { exported, remove } = await plant(bug, ['quota'], MODULES)
  return { functions: exported as unknown as QuotaFunctions, remove }
}
