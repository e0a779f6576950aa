/**
 * `npm run check:docs`: follows the steps of functions/deploy/README.md as a reader would, in a checkout of its own, with
 * an empty AWS account. Each command of the page runs in a shell, in the page's order. SST's own CLI stores the secrets and
 * deploys; what it calls is a stand-in: Pulumi (the mocks of `test/infra`), the AWS services that hold SST's state, the
 * AWS CLI, and Stripe's. The local stack answers in the place of the deployed API. A block or command that this
 * script cannot follow is a failure, so that the page cannot get ahead of it.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { operations } from './aws.ts'
import { FILLS, type Fills, filled } from './fills.ts'
import { type Block, blocksOf, type Code, commandsOf, holdsSettings, settingsIn, spansOf } from './page.ts'
import { type Reader, startReader } from './reader.ts'
import { runShell } from './shell.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const PAGE = 'functions/deploy/README.md'
const page = readFileSync(join(ROOT, PAGE), 'utf8')

/** Commands in sentences that are not followed, each with a reason that the run prints. */
const NOT_FOLLOWED: readonly (readonly [RegExp, string])[] = [
  [/^npm run (dev|restore-drill|check:infra)$/, 'has tests of its own'],
  [/^npm run check:docs$/, 'is this'],
  [/^npm run sst -- remove /, 'the stand-in for Pulumi removes nothing'],
  [/^npm run sst -- diff --stage dev-ada$/, 'the same as a deployment, without its end'],
  [/^npm run ops -- endpoint rotate$/, 'test/ops has it; the page gives the name of the command only'],
  [/^git checkout /, 'deploys an earlier commit'],
]

/** Blocks without commands, by their first word, with what holds them. */
const NO_COMMANDS: readonly (readonly [string, string])[] = [
  ['payment_intent.succeeded', '`npm run generate` writes it'],
]

const PROGRAM = /^(aws|npm|npx|curl|git|dig|stripe|openssl) /

/** Something to do for a reader, in the order of the page. */
type Step = Code & ({ run: true } | { settings: Block })

const failures: string[] = []
const at = ({ line }: Pick<Code, 'line'>) => `${PAGE}:${line}`
const say = (mark: 'ok  ' | 'FAIL' | '-   ', where: string, what: string) =>
  console.log(`${mark} ${where}  ${what}`)
function fail(where: string, what: string, why: string): void {
  failures.push(`${where}: ${what}\n${why.trimEnd().replaceAll(/^/gm, '     ')}`)
  say('FAIL', where, `${what}\n${why.trimEnd().replaceAll(/^/gm, '     ')}`)
}

function stepsOfBlock(block: Block): Step[] {
  if (holdsSettings(block)) return [{ ...block, settings: block }]
  if (block.language === 'sh') return commandsOf(block).map((command) => ({ ...command, run: true }))
  const held = NO_COMMANDS.find(([word]) => block.text.startsWith(word))
  if (held) say('-   ', at(block), `a block without commands: ${held[1]}`)
  else
    fail(
      at(block),
      `a block of the language "${block.language}"`,
      'test/docs/check.ts does not know how to follow it.',
    )
  return []
}

function stepsOfSpan(span: Code): Step[] {
  if (!PROGRAM.test(span.text)) return []
  const left = NOT_FOLLOWED.find(([command]) => command.test(span.text))
  const isName = /^aws [\w-]+ [\w-]+$/.test(span.text) && operations[span.text.slice(4)]?.needs !== undefined
  if (!left && !isName) return [{ ...span, run: true }]
  say(
    '-   ',
    at(span),
    `not followed: ${span.text} (${left?.[1] ?? 'the page gives the name of the operation only'})`,
  )
  return []
}

/** The steps of each section, in the order of the page. */
function sectionsOf(text: string): Map<string, Step[]> {
  const steps = [...blocksOf(text).flatMap(stepsOfBlock), ...spansOf(text).flatMap(stepsOfSpan)]
  return Map.groupBy(
    steps.sort((a, b) => a.line - b.line),
    ({ section }) => section,
  )
}

/** Writes the settings into the file that the page names. Those that are commented out switch more on, or something off. */
function writeSettings(
  { folder }: Reader,
  block: Block,
  fills: Fills,
  isWanted: (setting: ReturnType<typeof settingsIn>[number]) => boolean,
): void {
  const names = settingsIn(block)
    .filter(isWanted)
    .map(({ name }) => name)
  const lines = block.text.split('\n').map((line) => line.replace(/^# (?=([A-Z_]+)=)/, ''))
  const chosen = lines.filter((line) => names.includes(line.split('=')[0] ?? ''))
  writeFileSync(join(folder, '.env.production'), filled({ text: chosen.join('\n') }, fills))
}

/** What the page promises of a command, besides that it succeeds. */
const PROMISES: readonly (readonly [RegExp, (reader: Reader, printed: string) => void])[] = [
  [
    /npm run deploy/,
    ({ outputs }, printed) => {
      const [sentence = ''] = /\*\*Deploy\.\*\* It prints [^:]*/.exec(page) ?? []
      const promised = [...sentence.matchAll(/`(\w+)`/g)].map(([, name = '']) => name)
      const all = outputs()
      const missing = promised.filter((name) => !(name in all) || !printed.includes(name))
      if (promised.length === 0 || missing.length > 0)
        throw new Error(
          `It prints ${Object.keys(all)}, and the page promises ${missing.join(', ') || 'nothing'} besides.`,
        )
    },
  ],
  [/^curl /, (_, printed) => void JSON.parse(/\{.*\}/s.exec(printed)?.[0] ?? '')],
]

/** Sections that a reader may need again, and that have to work then, too. */
const REPEATED: readonly string[] = ['Restore']

/** The steps of a section in one shell, as in one terminal. */
async function follow(reader: Reader, steps: readonly Step[]): Promise<void> {
  const { events, table } = reader.outputs()
  const fills = { ...FILLS, '<api>': reader.api, '<events>': String(events), '<table>': String(table) }
  const commands: { step: Step; text: string }[] = []
  for (const step of steps) {
    try {
      if ('settings' in step) {
        writeSettings(reader, step.settings, fills, ({ isOptional }) => !isOptional)
        say('ok  ', at(step), 'settings in .env.production')
      } else commands.push({ step, text: filled(step, fills) })
    } catch (error) {
      fail(at(step), step.text, (error as Error).message)
    }
  }
  let startedMs = performance.now()
  const { done, printed } = await runShell(
    commands.map(({ text }) => text),
    { cwd: reader.folder, env: reader.env },
    (index, said) => {
      const { step, text } = commands[index] as (typeof commands)[number]
      const complaints = reader.complaints()
      if (complaints !== '') throw new Error(complaints)
      PROMISES.find(([command]) => command.test(text))?.[1](reader, said)
      const seconds = Math.round((performance.now() - startedMs) / 1_000)
      say('ok  ', at(step), `${step.text}${seconds > 1 ? ` (${seconds} s)` : ''}`)
      startedMs = performance.now()
    },
  )
  const failed = commands[done]
  if (!failed) return
  const complaints = reader.complaints()
  const why = printed.includes(complaints) ? printed : `${printed}${complaints}`
  fail(at(failed.step), failed.step.text, why.slice(-1_500))
}

console.log('what SST and Pulumi need, as for npm run check:infra')
execFileSync(process.execPath, [join(ROOT, 'test/infra/install.ts')], { stdio: 'inherit' })
const sections = sectionsOf(page)
const reader = await startReader()
try {
  // What the page tells a reader to have: what Stripe and Cloudflare show, in files as editors write them.
  const files = {
    'stripe-key.txt': 'rk_live_51NotReal',
    'new-key.txt': 'rk_live_51NotReal',
    'webhook-secret.txt': 'whsec_51NotReal',
    'turnstile-key.txt': '0x4AAAAAAANotReal',
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(reader.folder, file), `${text}\n`)
  for (const [section, steps] of sections) {
    console.log(`\n${section}`)
    await follow(reader, steps)
    if (REPEATED.includes(section)) {
      console.log(`\n${section}, once more`)
      await follow(reader, steps)
    }
    if (!reader.outputs().api) {
      console.log('\nNothing is deployed, so the rest of the page is not followed.')
      break
    }
    const block = steps.flatMap((step) => ('settings' in step ? [step.settings] : []))[0]
    if (!block) continue
    // Those that switch something off would hide what others do.
    writeSettings(reader, block, FILLS, ({ name, value }) => value !== 'off' && name !== 'STANDBY')
    say('ok  ', at(block), 'the optional settings in .env.production, too, for the deployments that follow')
  }
} finally {
  await reader.close()
}
console.log(
  failures.length === 0
    ? '\nEach step works as far as it goes offline.'
    : `\nSteps that do not work: ${failures.length}\n\n${failures.join('\n\n')}`,
)
process.exit(failures.length === 0 ? 0 : 1)
