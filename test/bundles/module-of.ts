import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { bundleOf } from '../../functions/deploy/bundle.ts'
import { functions } from '../../functions/deploy/functions.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** Whether the tests run the deployed bundles instead of the sources. */
export const fromBundles = process.env.BUNDLES !== undefined

let starts = 0

/** Makes later imports load bundles again, like a cold start. For sources, `vi.resetModules` does that. */
export const coldStart = (): void => void starts++

/** The module to run for a handler's file: the file itself, or its deployed bundle if `BUNDLES` is set. */
export function moduleOf(file: string): string {
  if (!fromBundles) return join(ROOT, file)
  const fn = functions.find(({ handler }) => handler === file.replace(/\.ts$/, '.handler'))
  if (!fn) throw new Error(`${file} is not deployed`)
  const { href } = pathToFileURL(join(ROOT, bundleOf(fn).bundle, 'index.mjs'))
  return starts === 0 ? href : `${href}?start=${starts}`
}
