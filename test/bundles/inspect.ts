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

/** Its own, so that whoever runs the bundles that are to be deployed is not disturbed. */
const FOLDER = mkdtempSync(join(realpathSync(tmpdir()), 'bursar-bundles-'))
export const discardBundles = (): void => rmSync(FOLDER, { recursive: true })

/** The module that Lambda loads of a function that was weighed. */
export const builtModule = ({ name }: Deployed): string => join(FOLDER, name, 'index.mjs')

/** What a bundle weighs, in kilobytes of 1,024 bytes, and the packages of it. */
export interface Weight {
  fn: Deployed
  /** Loaded before the first event. */
  initKb: number
  packageKb: number
  initPackages: Set<string>
  allPackages: Set<string>
  /** Texts of the OpenAPI document that it holds: descriptions of endpoints, and the document's own. */
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

/** Packages of which some code is left. */
function packagesIn(outputs: Outputs): Set<string> {
  const inputs = outputs.flatMap(([, output]) => Object.entries(output.inputs))
  return new Set(
    inputs.flatMap(([input, { bytesInOutput }]) => {
      const [, name] = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules)/.exec(input) ?? []
      return name !== undefined && bytesInOutput > 0 ? [name] : []
    }),
  )
}

/** The longest part of each text that a minified file shows as it is, without quotes, escapes or line breaks. */
const excerpts = [overview, ...rows.map(({ description = '' }) => description)].map(
  (text) => text.match(/[\w ,.:;-]+/g)?.sort((a, b) => b.length - a.length)[0] ?? text,
)

const textsIn = (code: string): string[] => excerpts.filter((text) => code.includes(text))

/** What is wrong with a bundle's weight or contents, in sentences. */
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
  // The document itself is what one function answers.
  const [text] = texts
  if (text !== undefined && classOf(fn) !== 'document') said.push(`carries a description: "${text} …"`)
  return said.map((sentence) => `${fn.name} ${sentence}`)
}
