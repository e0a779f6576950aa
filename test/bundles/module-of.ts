import { join } from 'node:path'
import { bundleOf } from '../../functions/http/bundle.ts'
import { functions } from '../../functions/http/deployment.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** The module to run for a handler's file: the file itself, or with `BUNDLES` set what is deployed of it. */
export function moduleOf(file: string): string {
  if (!process.env.BUNDLES) return join(ROOT, file)
  const fn = functions.find(({ handler }) => handler === file.replace(/\.ts$/, '.handler'))
  if (!fn) throw new Error(`${file} is not deployed`)
  return join(ROOT, bundleOf(fn).bundle, 'index.mjs')
}
