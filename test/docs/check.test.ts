import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { awsAnswer, queried } from './aws.ts'
import { FILLS, filled } from './fills.ts'
import { blocksOf, commandsOf, holdsSettings, scriptsIn, secretsIn, settingsIn, spansOf } from './page.ts'
import { runShell } from './shell.ts'

const PAGE = `# Title

1. Set \`npm run
   sst -- secret set RootSecret\`:
   \`\`\`sh
   NAME="a, b"  # a name
   # OTHER=c    # optional
   \`\`\`

## Second

\`\`\`sh
A=1
echo a \\
  b
# a remark
echo c
\`\`\`
`
const [settings, commands] = blocksOf(PAGE)

test('blocks of a page come with line, section and language, without the indentation of their list', () => {
  expect(settings).toEqual({
    line: 6,
    section: 'Title',
    language: 'sh',
    text: 'NAME="a, b"  # a name\n# OTHER=c    # optional\n',
  })
  expect(commands).toMatchObject({ line: 13, section: 'Second' })
})

test('a block of settings is told from one of commands, and its optional settings from the others', () => {
  expect([settings, commands].map((block) => block && holdsSettings(block))).toEqual([true, false])
  expect(settings && settingsIn(settings)).toEqual([
    { name: 'NAME', value: 'a, b', isOptional: false },
    { name: 'OTHER', value: 'c', isOptional: true },
  ])
})

test('a command may go over several lines, and remarks are none', () => {
  expect(commands && commandsOf(commands).map(({ line, text }) => [line, text])).toEqual([
    [13, 'A=1'],
    [14, 'echo a \\\n  b'],
    [17, 'echo c'],
  ])
})

test('a span that goes over two lines is one command, whose script and secret are known', () => {
  const texts = spansOf(PAGE).map(({ text }) => text)
  expect(texts).toEqual(['npm run sst -- secret set RootSecret'])
  expect([texts.flatMap(scriptsIn), texts.flatMap(secretsIn)]).toEqual([['sst'], ['RootSecret']])
})

test('what a reader has to fill in is filled in, and anything else is refused by name', () => {
  expect(filled({ text: 'KEY=pk_live_… # rk_live_…' }, FILLS)).toBe('KEY=pk_live_51NotReal # rk_live_…')
  expect(filled({ text: 'API_ADDRESS=closed' }, FILLS)).toBe('API_ADDRESS=closed')
  expect(() => filled({ text: 'aws s3 ls <bucket>' }, FILLS)).toThrow(/what a reader puts in for <bucket>$/)
  expect(() => filled({ text: 'KEY=xy_…' }, FILLS)).toThrow(/for KEY=xy_…$/)
})

test('the AWS CLI refuses operations and options that it does not have, and options that are missing', () => {
  const answer = (line: string) => awsAnswer(line.split(' '))
  expect(answer('sts get-caller-identity --query Account --output text')).toBe('123456789012')
  const wrong: [string, RegExp][] = [
    ['sts get-identity', /does not know "aws sts get-identity"/],
    ['sts get-caller-identity --queries Account', /Unknown options: --queries/],
    ['sts get-caller-identity --query Accounts', /finds nothing/],
    ['events describe-replay', /required: --replay-name/],
    ['events describe-replay --replay-name none', /none does not exist/],
    ['events describe-replay --replay-name', /required: --replay-name/],
    ['dynamodb describe-table --table-name other', /no table called other/],
  ]
  for (const [line, message] of wrong) expect(() => answer(line), line).toThrow(message)
})

test('what a command makes stays: a table takes longer than one wait, and names are taken once', () => {
  const [graph, made] = ['graph', 'made'].map((name) => join(tmpdir(), `bursar-${name}-${process.pid}.json`))
  onTestFinished(() => {
    vi.unstubAllEnvs()
    for (const file of [graph, made]) rmSync(file ?? '', { force: true })
  })
  writeFileSync(
    graph ?? '',
    JSON.stringify([{ type: 'aws:dynamodb/table:Table', inputs: { name: 'bursar-production' } }]),
  )
  vi.stubEnv('BURSAR_GRAPH', graph)
  vi.stubEnv('BURSAR_MADE', made)
  const answer = (line: string) => awsAnswer(line.split(' '))
  const restore =
    'dynamodb restore-table-to-point-in-time --source-table-name bursar-production --target-table-name other --restore-date-time 2026-01-01T00:00:00Z --sse-specification-override Enabled=true,SSEType=KMS,KMSMasterKeyId=key'
  const replay = `events start-replay --replay-name restore --event-source-arn arn:aws:events:a:1:archive/a --event-start-time 2026-01-01 --event-end-time 2026-01-02 --destination {"Arn":"a:event-bus/b","FilterArns":["a:rule/c"]}`
  answer(restore)
  expect(() => answer(restore)).toThrow(/TableAlreadyExistsException/)
  expect(() => answer('dynamodb update-table --table-name other')).toThrow(/ResourceInUseException/)
  expect(() => answer('dynamodb wait table-exists --table-name other')).toThrow(/Max attempts exceeded/)
  answer('dynamodb wait table-exists --table-name other')
  answer('dynamodb update-table --table-name other')
  answer(replay)
  expect(() => answer(replay)).toThrow(/ResourceAlreadyExistsException/)
  expect(answer('events describe-replay --replay-name restore --query State --output text')).toBe('COMPLETED')
})

test('a query finds a path, or members of a list by a text or by their whole', () => {
  const value = {
    A: { B: 1 },
    List: [
      { Name: 'xy', Arn: 'a' },
      { Name: 'z', Arn: 'b' },
    ],
  }
  expect(queried(value, 'A.B')).toBe(1)
  expect(queried(value, "List[?contains(Name,'y')].Arn")).toEqual(['a'])
  expect(queried(value, "List[?Name=='z'].Arn")).toEqual(['b'])
})

test('commands share one shell, which stops at the first that fails or whose check fails', async () => {
  const options = { cwd: import.meta.dirname, env: { PATH: process.env.PATH ?? '' } }
  const told: string[] = []
  const tell = (index: number, printed: string) => void told.push(`${index} ${printed}`)
  expect(await runShell(['A=1', 'echo $A', 'echo no; false', 'echo never'], options, tell)).toEqual({
    done: 2,
    printed: 'no\n',
  })
  expect(told).toEqual(['0 ', '1 1\n'])
  const refuse = () => {
    throw new Error('refused')
  }
  expect(await runShell(['echo yes', 'echo never'], options, refuse)).toEqual({
    done: 0,
    printed: 'yes\nrefused\n',
  })
})
