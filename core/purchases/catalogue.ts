/** A number of calls at a price. */
export interface Bundle {
  name: BundleName
  /** Calls that the bundle adds. */
  units: number
  priceCents: number
}

/** GreenCloud's three bundles. Change prices and sizes here; keep a name while an account has the bundle. */
const CATALOGUE = {
  STARTER: { units: 1_000, priceCents: 99 },
  DEVELOPER: { units: 100_000, priceCents: 999 },
  ENTERPRISE: { units: 1_000_000, priceCents: 7_999 },
} as const

export type BundleName = keyof typeof CATALOGUE

export const bundleNames = Object.keys(CATALOGUE) as [BundleName, ...BundleName[]]

const isBundleName = (name: string): name is BundleName => Object.hasOwn(CATALOGUE, name)

/** @throws Error for a name that is not in the catalogue */
export function bundleOf(name: string): Bundle {
  if (!isBundleName(name)) throw new Error(`the catalogue has no bundle ${name}`)
  return { name, ...CATALOGUE[name] }
}
