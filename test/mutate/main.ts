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
    plugins: ['runner', 'draw', 'reporter'].map(plugin),
    testRunner: 'kept',
    checkers: ['draw'],
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

console.log(`seed ${seed}, share ${share}`)
for (const folder of folders) {
  console.log(`\n${folder}`)
  await run(folder)
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

const byTypes = refusedByTypes(
  root,
  found.filter(({ status }) => status === 'survived'),
)

console.log(
  '\n| folder | mutants | run | killed | timed out | by types | accepted | survived | score |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
)
for (const folder of folders) {
  const own = found.filter(({ file }) => file.startsWith(`${folder}/`))
  const count = (status: Found['status']) => own.filter((each) => each.status === status).length
  const refused = own.filter((each) => byTypes.has(each)).length
  const accepted = own.filter(
    (each) => each.status === 'survived' && !byTypes.has(each) && acceptedOf(each),
  ).length
  const survived = count('survived') - accepted - refused
  const all = allMutants.filter(({ file, isStatic }) => !isStatic && file.startsWith(`${folder}/`)).length
  const killed = count('killed')
  const timedOut = count('timed out')
  console.log(
    `| \`${folder}\` | ${all} | ${own.length} | ${killed} | ${timedOut} | ${refused} | ${accepted} | ${survived} | ${score(killed + timedOut + refused, survived)} |`,
  )
}
const statics = allMutants.filter(({ isStatic }) => isStatic).length
console.log(
  `\n${Math.round((performance.now() - startedMs) / 1000)} s; ${statics} mutants of loading are left out\n`,
)

for (const each of found.filter((each) => each.status === 'survived' && !byTypes.has(each))) {
  const { file, original, replacement } = described(each)
  const { line, column } = each.mutant.location.start
  const known = acceptedOf(each)
  console.log(
    `${known ? 'accepted' : each.isUnreached ? 'unreached' : 'survived'} ${file}:${line + 1}:${column + 1} ${each.mutant.mutatorName}\n  - ${original}\n  + ${replacement}`,
  )
  if (known) console.log(`  ${known.reason}`)
}
