/** What the tests use of a package that has no types of its own. */
declare module "asl-validator" {
  const validate: (definition: unknown) => { readonly isValid: boolean; readonly errorsText: () => string }
  export default validate
}
