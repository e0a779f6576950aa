import type { Cards } from './card-world.ts'
import { type Patch, plant } from './planted.ts'

const MODULES = ['verify.ts', 'change.ts', 'remove.ts', 'events.ts', 'expiry.ts']

/** The functions of `core/cards` with a bug in them. `patch.file` is relative to that folder. */
export async function plantedCards(patch: Patch): Promise<{ functions: Cards; remove(): void }> {
  const inCards = (name: string) => `cards/${name}`
  const bug = { ...patch, file: inCards(patch.file) }
  const { exported, remove } = await plant(bug, ['cards'], MODULES.map(inCards))
  return { functions: exported as unknown as Cards, remove }
}
