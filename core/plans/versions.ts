import { isDeepStrictEqual } from 'node:util'
import { auditWrites } from '../audit/entry.ts'
import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { CURRENCY, defaultCatalogue } from '../purchases/catalogue.ts'
import { expr } from '../table/expression.ts'
import { currentPlansKey, PLANS, PLANS_PREFIX, plansKey } from '../table/keys.ts'
import { readPage } from '../table/page.ts'
import { retryRaces } from '../table/race.ts'
import { type PlansVersion, parseVersion, readPlans } from './current.ts'
import { catalogueMistakes } from './mistakes.ts'
import type { Catalogue, Plan } from './plan.ts'

/*
 * The plans have versions. Each one is stored for good under its number, and once more as the present one, which is all
 * that a sign-up reads. An older version is brought back by applying its plans, as a new version.
 */

/** A version as the list shows it. */
export type ListedVersion = Pick<PlansVersion, 'version' | 'atMs' | 'by' | 'reason'>

/**
 * Makes a catalogue the present one, as a new version. Holders keep the terms with which they took their bundle. The
 * same catalogue again makes no version.
 * @param replaces the version that the operator has seen, if it must still be the present one
 * @returns the number of the version, and whether it is a new one
 * @throws DomainError `invalid_request` with every mistake of the catalogue; `conflict` if another version was applied
 */
export async function applyPlans(
  deps: Deps<'table'>,
  wanted: { catalogue: Catalogue; reason: string; replaces?: number | undefined },
): Promise<{ version: number; isNew: boolean }> {
  const { catalogue, reason, replaces } = wanted
  requireSound(catalogue)
  return retryRaces(deps, async () => {
    const before = await readPlans(deps)
    if (isDeepStrictEqual(before.catalogue, catalogue)) return { version: before.version, isNew: false }
    if (replaces !== undefined && replaces !== before.version) throw new DomainError('conflict')
    const version = before.version + 1
    const item = { version, catalogue, atMs: deps.clock.nowMs(), by: deps.origin?.name, reason }
    await deps.table.transact([
      {
        put: { ...currentPlansKey(), ...item },
        if: before.version === 0 ? expr`attribute_not_exists(pk)` : expr`#version = ${before.version}`,
      },
      { put: { ...plansKey(version), ...item }, if: expr`attribute_not_exists(pk)` },
      ...auditWrites(deps, {
        action: 'operator.plans_applied',
        reason,
        before: { version: before.version },
        after: { version },
      }),
    ])
    return { version, isNew: true }
  })
}

/** @throws DomainError `invalid_request` with every mistake of the catalogue */
function requireSound(catalogue: Catalogue): void {
  const mistakes = catalogueMistakes(catalogue, CURRENCY)
  if (mistakes.length === 0) return
  throw new DomainError('invalid_request', {
    fields: mistakes.map((message) => ({ field: 'catalogue', message })),
  })
}

/** One version by its number; 0 is the deployed file. @throws DomainError `not_found` */
export async function readVersion(deps: Deps<'table'>, version: number): Promise<PlansVersion> {
  if (version === 0) return { version, catalogue: defaultCatalogue }
  const item = await deps.table.get(plansKey(version))
  if (!item) throw new DomainError('not_found')
  return parseVersion(item)
}

/** The versions that were applied, newest first. @param page.cursor `next` of the previous page. */
export async function listVersions(
  deps: Deps<'table'>,
  { limit, cursor }: { limit: number; cursor?: number | undefined },
): Promise<{ versions: ListedVersion[]; next: number | undefined }> {
  const after = cursor === undefined ? undefined : plansKey(cursor)
  const page = { limit, after, newestFirst: true }
  const { items, last } = await readPage(deps, PLANS, PLANS_PREFIX, page, parseVersion)
  const versions = items.map(({ version, atMs, by, reason }) => ({ version, atMs, by, reason }))
  return { versions, next: last?.version }
}

/** A difference between two catalogues. Values are as JSON has them; an absent one is undefined. */
export interface PlanChange {
  /** Name of the plan; undefined for what concerns the whole catalogue. */
  plan?: string
  change: 'added' | 'removed' | 'changed'
  field?: string
  before?: PlanValue | undefined
  after?: PlanValue | undefined
}

type PlanValue = string | number | boolean | string[] | Record<string, unknown>

/**
 * What a catalogue would change.
 * @returns also the version that it was compared with
 * @throws DomainError `invalid_request` with every mistake of the catalogue
 */
export async function comparePlans(
  deps: Deps<'table'>,
  wanted: Catalogue,
): Promise<{ replaces: number; changes: PlanChange[] }> {
  requireSound(wanted)
  const { version, catalogue } = await readPlans(deps)
  return { replaces: version, changes: planDifferences(catalogue, wanted) }
}

/** What a catalogue changes, plan by plan. An order alone makes one change of `plans`. */
export function planDifferences(before: Catalogue, after: Catalogue): PlanChange[] {
  const names = (catalogue: Catalogue) => catalogue.plans.map(({ name }) => name)
  const common = (all: string[], others: string[]) => all.filter((name) => others.includes(name))
  const [old, now] = [names(before), names(after)]
  const isMoved = !isDeepStrictEqual(common(old, now), common(now, old))
  return [
    ...fieldChange(undefined, 'trialUnits', before.trialUnits, after.trialUnits),
    ...before.plans
      .filter(({ name }) => !now.includes(name))
      .map(({ name, ...plan }): PlanChange => ({ plan: name, change: 'removed', before: plan })),
    ...after.plans.flatMap((plan): PlanChange[] => {
      const was = before.plans.find(({ name }) => name === plan.name)
      const { name, ...terms } = plan
      return was ? planChanges(was, plan) : [{ plan: name, change: 'added', after: terms }]
    }),
    ...(isMoved ? fieldChange(undefined, 'plans', old, now) : []),
  ]
}

function planChanges(was: Plan, now: Plan): PlanChange[] {
  const fields = [...new Set([...Object.keys(was), ...Object.keys(now)])].sort() as (keyof Plan)[]
  return fields.flatMap((field) => fieldChange(now.name, field, was[field], now[field]))
}

const fieldChange = (
  plan: string | undefined,
  field: string,
  before: PlanValue | undefined,
  after: PlanValue | undefined,
): PlanChange[] =>
  isDeepStrictEqual(before, after)
    ? []
    : [{ ...(plan !== undefined && { plan }), change: 'changed', field, before, after }]
