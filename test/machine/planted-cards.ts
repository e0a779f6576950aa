import type { Cards } from './card-world.ts'
import { type Patch, plant } from './planted.ts'

const MODULES = ['verify', 'change', 'remove', 'expiry'].map((name) => `cards/${name}.ts`)

/** The functions of `core/cards` with a bug in them. `patch.file` is relative to that folder. */
export async function plantedCards(patch: Patch): Promise<{ functions: Cards; remove(): void }> {
  const bug = { ...patch, file: patch.file.includes('/') ? patch.file : `cards/${patch.file}` }
  const { exported, remove } = await plant(bug, ['cards', 'webhooks'], [...MODULES, 'webhooks/events.ts'])
  return { functions: exported as unknown as Cards, remove }
}
