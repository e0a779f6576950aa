import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Patch } from './planted-cards.ts'
import { type Purchases, purchases } from './purchase-world.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** A bug that takes more than one change. */
export interface Bug extends Patch {
  more?: Patch[]
}

/** Folders that know each other: a patch in one must be seen by all. */
const NOUNS = ['purchases', 'quota', 'cards', 'account']

/** Where the functions under test are found. */
const MODULES = [
  'purchases/buy.ts',
  'purchases/check.ts',
  'purchases/left.ts',
  'purchases/renewal.ts',
  'quota/consume.ts',
  'cards/events.ts',
  'cards/expiry.ts',
  'cards/verify.ts',
  'cards/remove.ts',
  'cards/change.ts',
  'account/profile.ts',
]

/**
 * The functions of the purchase machine with a bug in them: from a copy of their folders, which takes everything else
 * from the real ones. `patch.file` is relative to `core`.
 * @throws Error if the text to change is not there exactly once, as after a change of the sources.
 */
export async function plantedPurchases({
  more = [],
  ...first
}: Bug): Promise<{ functions: Purchases; remove(): void }> {
  mkdirSync(join(ROOT, '.local'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.local', 'planted-'))
  for (const noun of NOUNS) {
    cpSync(join(ROOT, 'core', noun), join(folder, noun), { recursive: true })
    for (const name of readdirSync(join(folder, noun))) {
      let source = readFileSync(join(folder, noun, name), 'utf8')
      for (const { file, find, put } of [first, ...more]) {
        if (`${noun}/${name}` !== file) continue
        if (source.split(find).length !== 2) throw new Error(`${file} does not contain exactly once: ${find}`)
        source = source.replace(find, () => put)
      }
      writeFileSync(join(folder, noun, name), source.replace(ELSEWHERE, `from '${ROOT}/core/`))
    }
  }
  const loaded = await Promise.all(MODULES.map((name) => import(/* @vite-ignore */ join(folder, name))))
  const all = Object.assign({}, ...loaded)
  const functions = Object.fromEntries(Object.keys(purchases).map((name) => [name, all[name]]))
  return { functions: functions as Purchases, remove: () => rmSync(folder, { recursive: true, force: true }) }
}

/** Imports of what is not copied. */
const ELSEWHERE = new RegExp(`from '\\.\\./(?!(?:${NOUNS.join('|')})/)`, 'g')
