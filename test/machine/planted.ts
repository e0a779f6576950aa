import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..', '..')

/** A bug to plant: in this file, relative to `core`, this text becomes that one. */
export interface Patch {
  file: string
  find: string
  put: string
}

/** A bug that takes more than one change. */
export interface Bug extends Patch {
  more?: Patch[]
}

/**
 * What some modules of `core` export with a bug in them: from a copy of these folders, which takes everything else
 * from the real ones. Folders that know each other and of which one has the bug belong together.
 * @throws Error if the text to change is not there exactly once, as after a change of the sources.
 */
export async function plant(
  { more = [], ...first }: Bug,
  nouns: readonly string[],
  modules: readonly string[],
): Promise<{ exported: Record<string, unknown>; remove(): void }> {
  const sources = new Map<string, string>()
  for (const noun of nouns)
    for (const name of readdirSync(join(ROOT, 'core', noun)))
      sources.set(`${noun}/${name}`, readFileSync(join(ROOT, 'core', noun, name), 'utf8'))
  for (const { file, find, put } of [first, ...more]) {
    const source = sources.get(file) ?? ''
    if (source.split(find).length !== 2) throw new Error(`${file} does not contain exactly once: ${find}`)
    sources.set(
      file,
      source.replace(find, () => put),
    )
  }
  mkdirSync(join(ROOT, '.local'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, '.local', 'planted-'))
  for (const noun of nouns) mkdirSync(join(folder, noun))
  const elsewhere = new RegExp(`from '\\.\\./(?!(?:${nouns.join('|')})/)`, 'g')
  for (const [name, source] of sources)
    writeFileSync(join(folder, name), source.replace(elsewhere, `from '${ROOT}/core/`))
  const loaded = await Promise.all(modules.map((name) => import(/* @vite-ignore */ join(folder, name))))
  const exported: Record<string, unknown> = Object.assign({}, ...loaded)
  return { exported, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
