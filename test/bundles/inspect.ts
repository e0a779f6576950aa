import { mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import type { Metafile } from 'esbuild'
import { buildBundles } from '../../functions/deploy/build.ts'
import { type Deployed, functions } from '../../functions/deploy/functions.ts'
import { overview } from '../../functions/http/descriptions.ts'
import { rows } from '../../functions/http/rows.ts'
import { budgets, classOf, lazyPackages, neededBy } from './budgets.ts'
import { loadedAtStart } from './measure.ts'

const ROOT = join(import.meta.dirname, '..', '..')

/** A folder of this process, so that weighing does not overwrite bundles that another process is running. */
const FOLDER = mkdtempSync(join(realpathSync(tmpdir()), 'bursar-bundles-'))
export const discardBundles = (): void => rmSync(FOLDER, { recursive: true })

/** The built module of a weighed function, which Lambda would load. */
export const builtModule = ({ name }: Deployed): string => join(FOLDER, name, 'index.mjs')

/** The size of a bundle, in kilobytes of 1,024 bytes, and its packages. */
export interface Weight {
  fn: Deployed
  /** The kilobytes that are loaded before the first event. */
  initKb: number
  packageKb: number
  initPackages: Set<string>
  allPackages: Set<string>
  /** Texts of the OpenAPI document in the bundle: its own and the endpoints' descriptions. */
  texts: string[]
}

/** Builds functions as they are deployed and weighs them. */
export async function weigh(fns: readonly Deployed[] = functions): Promise<Weight[]> {
  const built = await buildBundles(fns, FOLDER)
  const loaded = await loadedAtStart(new Map(fns.map((fn) => [fn.name, builtModule(fn)])))
  return fns.map((fn) => {
    const { outputs } = built.get(fn.name) as Metafile
    const atStart = new Set(loaded.get(fn.name)?.map((file) => relative(ROOT, file)))
    const init = Object.entries(outputs).filter(([file]) => atStart.has(file))
    const all = Object.entries(outputs)
    return {
      fn,
      initKb: kilobytes(init),
      packageKb: kilobytes(all),
      initPackages: packagesIn(init),
      allPackages: packagesIn(all),
      texts: textsIn(all.map(([file]) => readFileSync(join(ROOT, file), 'utf8')).join('\n')),
    }
  })
}

type Outputs = [string, Metafile['outputs'][string]][]

const kilobytes = (outputs: Outputs): number => outputs.reduce((sum, [, { bytes }]) => sum + bytes, 0) / 1024

/** The packages that have some code in the outputs. */
function packagesIn(outputs: Outputs): Set<string> {
  const inputs = outputs.flatMap(([, output]) => Object.entries(output.inputs))
  return new Set(
    inputs.flatMap(([input, { bytesInOutput }]) => {
      const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(input) ?? []
      return name !== undefined && bytesInOutput > 0 ? [name] : []
    }),
  )
}

/** The longest part of each text that a minified file contains unchanged: no quotes or line breaks. */
const excerpts = [overview, ...rows.map(({ description = '' }) => description)].map(
  (text) => text.match(/[\w ,.:;-]+/g)?.sort((a, b) => b.length - a.length)[0] ?? text,
)

const textsIn = (code: string): string[] => excerpts.filter((text) => code.includes(text))

/** The faults of a bundle's size or contents, in sentences. */
export function complaints({ fn, initKb, packageKb, initPackages, allPackages, texts }: Weight): string[] {
  const budget = budgets[classOf(fn)]
  const said: string[] = []
  if (initKb === 0) said.push('nothing of it was loaded')
  if (initKb > budget.initKb)
    said.push(`loads ${initKb.toFixed(1)} KB before its first event, of ${budget.initKb}`)
  if (packageKb > budget.packageKb) said.push(`weighs ${packageKb.toFixed(1)} KB, of ${budget.packageKb}`)
  for (const name of lazyPackages)
    if (initPackages.has(name)) said.push(`loads ${name} before its first event`)
  for (const [name, needed] of Object.entries(neededBy)) {
    if (allPackages.has(name) && !needed(fn)) said.push(`carries ${name}, which its row does not need`)
    if (!allPackages.has(name) && needed(fn)) said.push(`lacks ${name}, which its row needs`)
  }
  // The function that serves the document contains its texts.
  const [text] = texts
  if (text !== undefined && classOf(fn) !== 'document') said.push(`carries a description: "${text} …"`)
  return said.map((sentence) => `${fn.name} ${sentence}`)
}
