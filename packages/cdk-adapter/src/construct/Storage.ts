/**
 * The bucket of a pipeline.
 *
 * @internal
 */
import { Duration, type RemovalPolicy } from "aws-cdk-lib"
import type * as kms from "aws-cdk-lib/aws-kms"
import * as s3 from "aws-cdk-lib/aws-s3"
import type { Construct } from "constructs"
import { acknowledge } from "./Statements.ts"

/** Where the map writes what its children came to, which nothing reads again. @internal */
export const mapResults = "map-results"

/** @internal */
export const makeBucket = (
  scope: Construct,
  id: string,
  props: { readonly key: kms.IKey | undefined; readonly removalPolicy: RemovalPolicy }
): s3.Bucket => {
  const bucket = new s3.Bucket(scope, id, {
    ...(props.key === undefined
      ? { encryption: s3.BucketEncryption.S3_MANAGED }
      : { encryption: s3.BucketEncryption.KMS, encryptionKey: props.key, bucketKeyEnabled: true }),
    blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
    objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    minimumTLSVersion: 1.2,
    removalPolicy: props.removalPolicy,
    lifecycleRules: [
      // What a function that was killed had begun to upload. No upload lasts longer than a function.
      { id: "unfinished-uploads", abortIncompleteMultipartUploadAfter: Duration.days(2) },
      // For whoever looks into a failed run. The state of runs is below another prefix, and never expires: a ledger
      // that is forgotten is a job that is paid for again.
      { id: "map-results", prefix: `${mapResults}/`, expiration: Duration.days(30) }
    ]
  })
  acknowledge(bucket, {
    S1: "Access logs want a bucket of their own: give the pipeline one that has them, or have CloudTrail log accesses"
  })
  return bucket
}
