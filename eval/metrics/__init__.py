"""What images are worth: PSNR, SSIM, LPIPS, DISTS, NIQE, and the published files that some of them need."""
