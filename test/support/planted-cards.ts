import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cards } from './card-world.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** A bug to plant: in this file, this text becomes that one. */
export interface Patch {
  file: string
  find: string
  put: string
}

/**
 * The functions of `core/cards` with a bug in them: from a copy of that folder, which takes everything else from the
 * real one.
 * @throws Error if the text to change is not there exactly once, as after a change of the sources.
 */
export async function plantedCards(patch: Patch): Promise<{ functions: Cards; remove(): void }> {
  mkdirSync(join(ROOT, '.local'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.local', 'planted-'))
  cpSync(join(ROOT, 'core', 'cards'), folder, { recursive: true })
  for (const name of readdirSync(folder)) {
    const source = readFileSync(join(folder, name), 'utf8')
    if (name === patch.file && source.split(patch.find).length !== 2) {
      throw new Error(`${name} does not contain exactly once: ${patch.find}`)
    }
    const planted = name === patch.file ? source.replace(patch.find, () => patch.put) : source
    writeFileSync(join(folder, name), planted.replaceAll("from '../", `from '${ROOT}/core/`))
  }
  const load = (name: string) => import(/* @vite-ignore */ join(folder, name))
  const modules = ['verify.ts', 'change.ts', 'remove.ts', 'events.ts', 'expiry.ts'].map(load)
  const functions: Cards = Object.assign({}, ...(await Promise.all(modules)))
  return { functions, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
