import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Spectral } from '@stoplight/spectral-core'
import { oas } from '@stoplight/spectral-rulesets'
import { describe, expect, test } from 'vitest'

/**
 * The rule sets that others check a document with, as they come: no rule is switched off, and no place excepted. The
 * libraries run here instead of their commands, which weigh more, ask for updates and report their use.
 */
describe.each(['functions/openapi.json', 'functions/ops/openapi.json'])('%s', (file) => {
  const path = join(import.meta.dirname, '..', '..', file)
  const source = readFileSync(path, 'utf8')

  test("keeps Redocly's recommended rules, without an error or a warning", async () => {
    const config = await createConfig({ extends: ['recommended'] })
    const found = await lintFromString({ source, absoluteRef: path, config })
    expect(found.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([])
  })

  test("keeps Spectral's rules for OpenAPI, without an error, a warning or a hint", async () => {
    const spectral = new Spectral()
    spectral.setRuleset({ extends: [[oas as never, 'recommended']] })
    const found = await spectral.run(JSON.parse(source))
    expect(found.map(({ code, message, path: at }) => [code, message, at.join('/')])).toEqual([])
  })
})
