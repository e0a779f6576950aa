/**
 * `npm run mutate -- [--folder core/quota]… [--share 0.1 | --all] [--seed N]`: changes the sources in one small place at a
 * time and looks whether a test notices. Prints a table of the scores and lists the survivors.
 */
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Stryker } from '@stryker-mutator/core'
import { ACCEPTED } from './accepted.ts'
import { FOLDERS } from './folders.ts'
import { brief, originalOf } from './mutants.ts'
import { allMutants, type Found, found } from './reporter.ts'
import { score } from './score.ts'
import type { Settings } from './settings.ts'
import { refusedByTypes } from './types.ts'

const { values } = parseArgs({
  options: {
    folder: { type: 'string', multiple: true },
    share: { type: 'string' },
    all: { type: 'boolean' },
    seed: { type: 'string' },
    at: { type: 'string', default: '1' },
  },
})
const folders = values.folder ?? FOLDERS
const share = values.all ? 1 : Number(values.share ?? 0.1)
const seed = values.seed === undefined ? Math.floor(Math.random() * 1e6) : Number(values.seed)
const concurrency = Number(values.at)
if (
  folders.some((folder) => !FOLDERS.includes(folder)) ||
  !(share > 0 && share <= 1) ||
  !Number.isInteger(seed)
) {
  console.error('Usage: npm run mutate -- [--folder FOLDER]… [--share 0.1 | --all] [--seed N] [--at 1]')
  console.error(`A folder is one of ${FOLDERS.join(', ')}. A share is above 0 and at most 1.`)
  process.exit(2)
}

const root = join(import.meta.dirname, '..', '..')
const plugin = (name: string) => join(import.meta.dirname, `${name}.ts`)
const startedMs = performance.now()

/** Runs the mutants of a folder that the seed draws. What came of them is in `found`. */
async function run(folder: string): Promise<void> {
  const settings: Settings = { root, memory: join(root, '.mutate'), folder, share, seed }
  await new Stryker({
    // Its own would read the sources for TypeScript 6, and stop.
    tsconfigFile: 'absent.json',
    disableTypeChecks: false,
    mutate: [`${folder}/*.ts`],
    // Texts: the types hold those that decide something, and snapshots those that people read.
    mutator: { excludedMutations: ['StringLiteral'], plugins: null },
    // What is decided once, while a module is loaded, would need a fresh process and all tests for each mutant.
    ignoreStatic: true,
    plugins: ['runner', 'reporter'].map(plugin),
    testRunner: 'kept',
    reporters: ['found'],
    coverageAnalysis: 'perTest',
    concurrency,
    timeoutMS: 600_000,
    dryRunTimeoutMinutes: 60,
    tempDirName: join(tmpdir(), 'bursar-mutate'),
    cleanTempDir: 'always',
    ignorePatterns: ['.mutate', '.client', '.bundles', '.pages', '.sst', '.local'],
    logLevel: 'info',
    allowConsoleColors: false,
    warnings: { slow: false, unknownOptions: false },
    bursar: settings,
  } as never).runMutationTest()
}

const textOf = (file: string) => readFileSync(join(root, file), 'utf8')
const described = ({ file, mutant }: Found) => ({
  file,
  original: brief(originalOf(textOf(file), mutant)),
  replacement: brief(mutant.replacement),
})
const acceptedOf = (each: Found) => {
  const { file, original, replacement } = described(each)
  return ACCEPTED.find(
    (known) => known.file === file && known.original === original && known.replacement === replacement,
  )
}

/** Prints the survivors of a folder. @returns its row of the table. */
function report(folder: string): string {
  const own = found.filter(({ file }) => file.startsWith(`${folder}/`))
  const those = (status: Found['status']) => own.filter((each) => each.status === status)
  const byTypes = refusedByTypes(root, those('survived'))
  const left = those('survived').filter((each) => !byTypes.has(each))
  const accepted = left.filter(acceptedOf)
  for (const each of left) {
    const { file, original, replacement } = described(each)
    const { line, column } = each.mutant.location.start
    const known = acceptedOf(each)
    const title = known ? `accepted, ${known.reason}:` : each.isUnreached ? 'unreached' : 'survived'
    console.log(`${title} ${file}:${line + 1}:${column + 1} ${each.mutant.mutatorName}`)
    console.log(`  - ${original}\n  + ${replacement}`)
  }
  const all = allMutants.filter(({ file, isStatic }) => !isStatic && file.startsWith(`${folder}/`)).length
  const [killed, timedOut] = [those('killed').length, those('timed out').length]
  const survived = left.length - accepted.length
  const run = own.length - those('undecided').length
  const noticed = score(killed + timedOut + byTypes.size, survived)
  const numbers = [all, run, killed, timedOut, byTypes.size, accepted.length, survived, noticed]
  return `| ${[`\`${folder}\``, ...numbers].join(' | ')} |`
}

console.log(`seed ${seed}, share ${share}`)
const rows: string[] = []
for (const folder of folders) {
  console.log(`\n${folder}`)
  await run(folder)
  rows.push(report(folder))
}
const HEAD = ['folder', 'mutants', 'run', 'killed', 'timed out', 'by types', 'accepted', 'survived', 'score']
console.log(`\n| ${HEAD.join(' | ')} |\n|${' --- |'.repeat(HEAD.length)}`)
for (const row of rows) console.log(row)
const seconds = Math.round((performance.now() - startedMs) / 1000)
console.log(
  `\nIn ${seconds} s, without ${allMutants.filter(({ isStatic }) => isStatic).length} mutants of loading.`,
)
const undecided = found.filter(({ status }) => status === 'undecided')
if (undecided.length > 0)
  console.log(`${undecided.length} are undecided: their tests fail without a mutant too.`)
for (const reason of new Set(undecided.map((each) => each.reason))) console.log(`  ${reason}`)
